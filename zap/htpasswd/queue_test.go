package htpasswd

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// model is a queue whose hashes are sleeps in a synctest bubble.
type model struct {
	*queue
	took            func() time.Duration
	hashed, useless atomic.Int32
}

const modelCost = 10

func newModel(slots int, took time.Duration) *model {
	m := &model{queue: newQueue(slots, took>>(modelCost-MinCost)), took: func() time.Duration { return took }}
	for range 50 {
		m.queue.took.add(modelCost, took) // it has run for a while
	}
	return m
}

// login is one attempt.
func (m *model) login(ctx context.Context, from party) error {
	if err := m.enter(ctx, from, modelCost); err != nil {
		return err
	}
	took := m.took()
	time.Sleep(took)
	m.hashed.Add(1)
	if ctx.Err() != nil {
		m.useless.Add(1)
	}
	m.leave(modelCost, took)
	return ctx.Err()
}

// client logs in until it is in, as advised, each attempt with a deadline.
func (m *model) client(network int, timeout time.Duration) (attempts int) {
	for {
		attempts++
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		err := m.login(ctx, address(network))
		cancel()
		if err == nil {
			return attempts
		}
		busy, ok := errors.AsType[*zap.BusyError](err)
		if !ok {
			panic(err)
		}
		time.Sleep(busy.RetryAfter + time.Duration(rand.Int64N(int64(busy.RetryAfter/2))))
	}
}

func address(network int) party {
	return party{network: netip.AddrFrom4([4]byte{10, byte(network >> 16), byte(network >> 8), byte(network)})}
}

// idle fails the test if the queue still holds anything.
func (m *model) idle(t *testing.T) {
	t.Helper()
	if m.busy != 0 || m.waiting != 0 || m.turns.Len() != 0 {
		t.Errorf("%d slots in use, %d logins of %d networks wait", m.busy, m.waiting, m.turns.Len())
	}
	if m.useless.Load() != 0 {
		t.Errorf("%d hashes were finished too late", m.useless.Load())
	}
}

// TestAllComeIn: 3,000 users who connect at once and follow the advice are all logged in after
// little more than the time that their hashes take, and no hash is computed for nothing.
func TestAllComeIn(t *testing.T) {
	const users, slots, hash = 3000, 2, 60 * time.Millisecond
	for name, c := range map[string]struct {
		networks int
		slowness float64       // of hashes
		lasts    time.Duration // how long they are slow
	}{
		"one network":          {1, 1, 0},
		"10 networks":          {10, 1, 0},
		"a network each":       {users, 1, 0},
		"slow at first":        {10, 5, 3 * time.Second}, // because all clients connect
		"slower than expected": {10, 3, time.Hour},
		"faster than expected": {10, 0.5, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				m := newModel(slots, hash)
				m.took = func() time.Duration {
					if time.Since(start) < c.lasts {
						return time.Duration(c.slowness * (0.7 + rand.Float64()*0.6) * float64(hash))
					}
					return hash
				}
				var logins sync.WaitGroup
				var attempts, most atomic.Int32
				for i := range users {
					logins.Go(func() {
						time.Sleep(time.Duration(i) * 300 * time.Microsecond)
						n := int32(m.client(i%c.networks, 5*time.Second))
						attempts.Add(n)
						most.Store(max(most.Load(), n))
					})
				}
				logins.Wait()
				least, took := users*hash/slots, time.Since(start)
				if c.lasts > least {
					least = time.Duration(float64(least) * c.slowness)
				}
				t.Logf("%v, least possible %v, %d attempts, at most %d for one", took, least, attempts.Load(), most.Load())
				if took > least*13/10 || m.hashed.Load() != users || attempts.Load() > 5*users {
					t.Errorf("%d hashes after %v, at least %v are needed; %d attempts", m.hashed.Load(), took, least, attempts.Load())
				}
				m.idle(t)
			})
		})
	}
}

// TestAdviceGrows: the longer the queue and the more logins were refused, the later the next
// one is told to come back, from one second to ten minutes.
func TestAdviceGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(1, time.Second)
		var waiting sync.WaitGroup
		defer waiting.Wait()
		var last time.Duration
		for i := range 2000 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second+time.Millisecond)
			refused := make(chan error, 1)
			waiting.Go(func() {
				defer cancel()
				refused <- m.login(ctx, address(1))
			})
			synctest.Wait()
			if i < 5 { // one is being hashed, four wait
				continue
			}
			busy, ok := errors.AsType[*zap.BusyError](<-refused)
			if !ok || busy.RetryAfter < max(last, time.Second) || busy.RetryAfter > 600*time.Second {
				t.Fatalf("login %d: %v after %v", i, busy, last)
			}
			last = busy.RetryAfter
		}
		if last != 600*time.Second {
			t.Errorf("the last one may come back in %v", last)
		}
	})
}

// TestFair: a network with few logins is not delayed by one with many, and neither waits for
// nor is told to wait because of the logins that the other has had refused.
func TestFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(1, 50*time.Millisecond)
		var logins sync.WaitGroup
		for range 1000 {
			logins.Go(func() { m.client(1, 5*time.Second) })
		}
		time.Sleep(time.Second)
		for network := 2; network < 12; network++ {
			logins.Go(func() {
				start := time.Now()
				if n := m.client(network, 5*time.Second); n != 1 || time.Since(start) > time.Second {
					t.Errorf("network %d: logged in after %v, %d attempts", network, time.Since(start), n)
				}
			})
		}
		logins.Wait()
		m.idle(t)
	})
}

// TestFullQueue: where no deadline limits the queue, its length does, at the expense of the
// network with the most logins.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(1, time.Millisecond)
		var logins sync.WaitGroup
		var refused [3]atomic.Int32
		login := func(network int) {
			logins.Go(func() {
				if err := m.login(context.Background(), address(network)); err != nil {
					refused[network].Add(1)
				}
			})
			synctest.Wait()
		}
		must(t, m.enter(t.Context(), address(0), modelCost)) // holds the slot
		for range maxWaiting + 100 {
			login(1)
		}
		for range 10 {
			login(2)
		}
		m.leave(modelCost, 0)
		logins.Wait()
		if refused[1].Load() != 110 || refused[2].Load() != 0 {
			t.Errorf("refused: %d and %d, want 110 and 0", refused[1].Load(), refused[2].Load())
		}
		m.idle(t)
	})
}

// TestNoHashForTheGone: no hash is computed for a login whose context has ended, and its place
// goes to the next one at once.
func TestNoHashForTheGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(2, time.Second)
		ctx, leave := context.WithCancel(t.Context())
		var logins sync.WaitGroup
		for i := range 500 {
			logins.Go(func() {
				ctx := ctx
				if i%100 == 99 {
					ctx = context.Background() // these stay
				}
				if err := m.login(ctx, address(i%3)); (err == nil) != (ctx == context.Background()) && m.hashed.Load() > 7 {
					t.Errorf("login %d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		time.Sleep(500 * time.Millisecond) // two are being hashed
		leave()
		synctest.Wait()
		if m.waiting != 5 {
			t.Errorf("%d wait, want the five that stay", m.waiting)
		}
		start := time.Now()
		logins.Wait()
		if n := m.hashed.Load(); n != 7 || time.Since(start) > 4*time.Second {
			t.Errorf("%d hashes, want 7, after %v", n, time.Since(start))
		}
		m.useless.Add(-2) // those that had begun
		m.idle(t)
	})
}

// TestSlowHashes: if hashes take longer than they used to, logins that cannot be finished in
// time any more are refused before their deadline.
func TestSlowHashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(1, 100*time.Millisecond)
		m.took = func() time.Duration { return 300 * time.Millisecond }
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var logins sync.WaitGroup
		var ok, late atomic.Int32
		for range 40 {
			logins.Go(func() {
				if err := m.login(ctx, address(1)); err == nil {
					ok.Add(1)
				} else if _, busy := errors.AsType[*zap.BusyError](err); busy && ctx.Err() == nil {
					late.Add(1)
				} else {
					t.Error(err)
				}
			})
		}
		logins.Wait()
		if ok.Load() < 13 || ok.Load()+late.Load() != 40 {
			t.Errorf("%d logged in, %d refused", ok.Load(), late.Load())
		}
		m.idle(t)
	})
}

// TestSlowMoment: after hashes that took so long that no other could be finished in time, a login
// is tried all the same once the processors are idle, and the estimate recovers.
func TestSlowMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(2, 100*time.Millisecond)
		took := 4 * time.Second // for a moment
		m.took = func() time.Duration { return took }
		attempt := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			return m.login(ctx, address(1))
		}
		refused := false
		for !refused {
			_, refused = errors.AsType[*zap.BusyError](attempt())
			if m.hashed.Load() > 10 {
				break // tried all the same
			}
		}
		took = 100 * time.Millisecond
		for n := range 20 {
			if err := attempt(); err != nil {
				t.Fatalf("login %d on an idle machine: %v", n, err)
			}
		}
		var logins sync.WaitGroup
		for range 20 { // all at once: the estimate is good again
			logins.Go(func() {
				if err := attempt(); err != nil {
					t.Error(err)
				}
			})
		}
		logins.Wait()
		m.idle(t)
	})
}

// TestBoundedNetworks: clients from ever new networks do not fill the memory.
func TestBoundedNetworks(t *testing.T) {
	m := newModel(1, time.Second)
	must(t, m.enter(t.Context(), party{}, modelCost))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for i := range 2 * maxBooked {
		from := address(i)
		if i%2 == 0 {
			from = address(1)
		}
		if err := m.enter(ctx, from, modelCost); err == nil {
			t.Fatal("a login was not refused")
		}
	}
	if n := len(m.networks); n > maxBooked || m.booked.total > maxBooked || m.networks[address(1)].booked > maxBookedByOne {
		t.Errorf("%d networks with %d bookings, %d of them by one", n, m.booked.total, m.networks[address(1)].booked)
	}
	m.booked.expire(time.Now().Add(time.Hour), m.forget)
	if len(m.networks) != 0 || m.booked.total != 0 {
		t.Errorf("an hour later: %d networks, %d bookings", len(m.networks), m.booked.total)
	}
}

func TestPartyOf(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := partyOf(t.Context(), &zap.Request{Address: text}); got.network.String() != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	if got := partyOf(t.Context(), &zap.Request{Address: "ipc"}); got != (party{}) {
		t.Errorf("without an address: %v", got)
	}
	shared := zap.WithShare(t.Context(), "listen")
	if got := partyOf(shared, &zap.Request{Address: "192.0.2.7"}); got != (party{share: "listen"}) {
		t.Errorf("in a share: %v", got)
	}
}

// TestShares: a share with few logins is not delayed by one with many, from however many
// networks, and the other way around.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct{ many, few party }{
			"clients":    {party{}, party{share: "listen"}},
			"zap.listen": {party{share: "listen"}, party{}},
		} {
			m := newModel(1, time.Second)
			var logins sync.WaitGroup
			for i := range 50 {
				from := c.many
				if from.share == "" {
					from = address(i)
				}
				logins.Go(func() { _ = m.login(t.Context(), from) })
			}
			time.Sleep(time.Millisecond)
			for range 5 {
				start := time.Now()
				if err := m.login(t.Context(), c.few); err != nil || time.Since(start) > 3*time.Second {
					t.Errorf("%s flood: a login of the other share takes %v, %v", name, time.Since(start), err)
				}
			}
			logins.Wait()
			m.idle(t)
		}
	})
}
