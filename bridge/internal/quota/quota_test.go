package quota

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
)

// model computes the sums of all accounts again for each comparison.
type model struct {
	bridge   Counter
	routes   [2]Counter
	accounts map[*Account]entry
}

type entry struct {
	owner Owner
	route int
	held  int64
}

func (m *model) sums(of entry) (inAll, onRoute, route int64) {
	for _, e := range m.accounts {
		if e.owner == of.owner {
			inAll += e.held
		}
		if e.route == of.route {
			route += e.held
		}
		if e.owner == of.owner && e.route == of.route {
			onRoute += e.held
		}
	}
	return inAll, onRoute, route
}

// compare fails the test if the numbers of an account are not the sums of the model.
func (m *model) compare(t *testing.T, a *Account) {
	t.Helper()
	inAll, onRoute, route := m.sums(m.accounts[a])
	got := [3]int64{a.inAll.bytes.Load(), a.onRoute.bytes.Load(), a.route.Total()}
	if want := [3]int64{inAll, onRoute, route}; got != want {
		t.Fatalf("numbers %v, want %v", got, want)
	}
	if a.Held() != m.accounts[a].held {
		t.Fatalf("%d bytes are held, want %d", a.Held(), m.accounts[a].held)
	}
}

// bound returns the bound that n more bytes for a would exceed.
func (m *model) bound(a *Account, n int64) (Bound, bool) {
	inAll, onRoute, route := m.sums(m.accounts[a])
	switch {
	case n == 0:
	case inAll+n > m.bridge.each.Load():
		return OwnerInAll, true
	case onRoute+n > a.route.each.Load():
		return OwnerOnRoute, true
	case route+n > a.route.all.Load():
		return Route, true
	}
	return 0, false
}

// TestModel opens, changes and closes accounts of several users on two routes at random, with
// limits that change, and compares all numbers after each step. In the end nothing is left.
func TestModel(t *testing.T) {
	owners := []Owner{{User: "alice"}, {User: "bob"}, {Network: netip.MustParseAddr("192.0.2.1")}, {Network: netip.MustParseAddr("2001:db8::")}, {}}
	refused := make(map[Bound]int)
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &model{accounts: make(map[*Account]entry)}
		var open []*Account
		for range 500 {
			if r.IntN(20) == 0 {
				m.bridge.SetLimits(r.Int64N(300), NoLimit)
				m.routes[r.IntN(2)].SetLimits(r.Int64N(250), r.Int64N(700))
			}
			if len(open) == 0 || r.IntN(6) == 0 {
				e := entry{owner: owners[r.IntN(len(owners))], route: r.IntN(2)}
				a := Open(&m.bridge, &m.routes[e.route], e.owner)
				m.accounts[a] = e
				open = append(open, a)
			}
			i := r.IntN(len(open))
			a := open[i]
			e := m.accounts[a]
			switch n := r.Int64N(40); r.IntN(8) {
			case 0:
				a.Close()
				a.Close()
				delete(m.accounts, a)
				open = append(open[:i], open[i+1:]...)
				a.Add(n) // changes nothing
				if err := a.Take(n); err != nil {
					t.Fatalf("closed: %v", err)
				}
				continue
			case 1:
				a.Add(n)
				e.held += n
			case 2, 3:
				n = min(n, e.held)
				a.Add(-n)
				e.held -= n
			default:
				want, exceeds := m.bound(a, n)
				err := a.Take(n)
				got, _ := errors.AsType[*ExceededError](err)
				if exceeds != (got != nil) || exceeds && got.Bound != want {
					t.Fatalf("seed %d: %d more bytes: %v, want %v %v", seed, n, err, want, exceeds)
				}
				if exceeds {
					refused[want]++
				} else {
					e.held += n
				}
			}
			m.accounts[a] = e
			m.compare(t, a)
		}
		for _, a := range open {
			a.Close()
		}
		m.isEmpty(t)
	}
	if len(refused) != 3 {
		t.Errorf("only these bounds were exceeded: %v", refused)
	}
}

func (m *model) isEmpty(t *testing.T) {
	t.Helper()
	for _, c := range []*Counter{&m.bridge, &m.routes[0], &m.routes[1]} {
		if c.Total() != 0 || len(c.shares) != 0 {
			t.Fatalf("left over: %d bytes, owners %v", c.Total(), c.shares)
		}
	}
}

// TestConcurrent lets streams of three users take, give back and end at the same time. No limit
// is exceeded, and nothing is left.
func TestConcurrent(t *testing.T) {
	var m model
	m.bridge.SetLimits(1000, NoLimit)
	m.routes[0].SetLimits(900, 2000)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for range 50 {
				a := Open(&m.bridge, &m.routes[0], Owner{User: fmt.Sprint(i % 3)})
				closing := sync.WaitGroup{}
				for range 100 {
					if err := a.Take(r.Int64N(60)); err != nil {
						a.Add(-a.Held() / 2)
					}
					if err := a.Exceeded(); err != nil {
						t.Error(err)
					}
				}
				closing.Go(a.Close) // as a reload does, beside the end of the stream
				_ = a.Take(1)
				closing.Wait()
			}
		})
	}
	all.Wait()
	m.isEmpty(t)
}

// TestExceeded checks that Add and a lowered limit exceed limits, and that what exceeds them
// can be given back but not increased.
func TestExceeded(t *testing.T) {
	var bridge, route Counter
	bridge.SetLimits(100, NoLimit)
	route.SetLimits(100, 100)
	a := Open(&bridge, &route, Owner{User: "alice"})
	defer a.Close()
	a.Add(100)
	if err := a.Exceeded(); err != nil {
		t.Error(err)
	}
	a.Add(1)
	if err := a.Exceeded(); err == nil {
		t.Error("101 of 100 bytes do not exceed the limit")
	}
	a.Add(-1)
	bridge.SetLimits(99, NoLimit)
	if err := a.Exceeded(); err == nil || a.Held() != 100 {
		t.Errorf("a lowered limit: %v, %d bytes", err, a.Held())
	}
	if err := a.Take(0); err != nil {
		t.Errorf("no bytes: %v", err)
	}
	a.Add(-50)
	if err := a.Take(49); err != nil {
		t.Error(err)
	}
	if err := a.Take(1); err == nil {
		t.Error("100 of 99 bytes")
	}
}

// BenchmarkTake is 1,000 clients of as many users that subscribe and unsubscribe on one route.
func BenchmarkTake(b *testing.B) {
	var bridge, route Counter
	bridge.SetLimits(1<<20, NoLimit)
	route.SetLimits(1<<20, 16<<20)
	b.RunParallel(func(pb *testing.PB) {
		a := Open(&bridge, &route, Owner{User: fmt.Sprint(rand.Int())})
		defer a.Close()
		for pb.Next() {
			if err := a.Take(30); err != nil {
				b.Fatal(err)
			}
			a.Add(-30)
		}
	})
}
