package conn

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// asking is a socket whose client waits for an answer while waits is set.
type asking struct {
	route.Socket // nothing else is called
	waits        atomic.Bool
}

func (a *asking) Unfinished() bool { return a.waits.Load() }

// drained are connections of a set, each with a stream, whose logins take 20 ms to judge again, and 2 ms
// once another one of the user was.
type drained struct {
	set     *Set
	route   *route.Route
	inForce atomic.Pointer[route.Route]
}

func newDrained(t *testing.T) *drained {
	d := &drained{route: testRoute(t, "DEALER")}
	d.inForce.Store(d.route)
	d.set = NewSet(Options{
		Cost: func(_ *zws.Login, again bool) time.Duration {
			if again {
				return 2 * time.Millisecond
			}
			return 20 * time.Millisecond
		},
		Route: func(string) *route.Route { return d.inForce.Load() },
	})
	return d
}

// open opens a connection of a user of its own.
func (d *drained) open(number uint64, mux bool) (*connection, *asking) {
	return d.openAs(fmt.Sprint("user ", number), number, mux)
}

func (d *drained) openAs(user string, number uint64, mux bool) (*connection, *asking) {
	c := d.set.newConnection(session{number: number, route: d.route}, "", &zws.Login{
		Multiplexed: mux, Reply: &zap.Reply{UserID: user, Authenticator: "users"},
	})
	socket := new(asking)
	own := c.session
	s := &stream{session: &own, conn: c, socket: socket}
	s.queue = queue.New(queue.Options{}, s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(s)
	return c, socket
}

// ended returns how many of the connections were ended, and the longest advice among them.
func ended(all []*connection) (n int, longest time.Duration) {
	for _, c := range all {
		if cause, ok := errors.AsType[*zws.CloseError](c.ending()); ok {
			n++
			longest = max(longest, cause.RetryAfter)
		}
	}
	return n, longest
}

// TestDrainPaced: 1,000 clients whose logins take 30 s in all, at two thirds of the speed that is possible,
// are disconnected over 30 s.
func TestDrainPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrained(t)
		all := make([]*connection, 1000)
		for i := range all {
			all[i], _ = d.open(uint64(i), i%2 == 0)
		}
		start := time.Now()
		go d.set.Drain(t.Context(), 2*time.Minute)
		for _, at := range []time.Duration{time.Second, 10 * time.Second, 20 * time.Second} {
			time.Sleep(at - time.Since(start))
			synctest.Wait()
			want := int(at / (30 * time.Millisecond))
			if n, longest := ended(all); n < want-4 || n > want+4 || longest != time.Second {
				t.Errorf("after %v %d are disconnected, want %d; the longest advice is %v, want 1s", at, n, want, longest)
			}
		}
		time.Sleep(30*time.Second - time.Since(start))
		synctest.Wait()
		if n, _ := ended(all); n != len(all) {
			t.Errorf("%d are disconnected in the end, want %d", n, len(all))
		}
		if err := d.set.Closing(); !errors.Is(err, ErrReplaced) {
			t.Errorf("Closing: %v, want ErrReplaced", err)
		}
		d.set.EndDrain(true)
		if err := d.set.Closing(); err != nil {
			t.Errorf("Closing after EndDrain: %v", err)
		}
	})
}

// TestDrainUsers: the clients of one user come back as fast as a password that is remembered is checked.
func TestDrainUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrained(t)
		for i := range 1000 {
			d.openAs(fmt.Sprint("user ", i%10), uint64(i), false)
		}
		start := time.Now()
		d.set.Drain(t.Context(), 2*time.Minute)
		want := (10*20*time.Millisecond + 990*2*time.Millisecond) * 3 / 2
		if took := time.Since(start); took < want-drainStep || took > want+drainStep {
			t.Errorf("it took %v, want %v", took, want)
		}
	})
}

// TestDrainWithin: where less time is given than the logins take, the advice has the rest.
func TestDrainWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrained(t)
		all := make([]*connection, 1000)
		for i := range all {
			all[i], _ = d.open(uint64(i), false)
		}
		start := time.Now()
		d.set.Drain(t.Context(), 10*time.Second)
		if took := time.Since(start); took < 10*time.Second || took > 10*time.Second+drainStep {
			t.Errorf("it took %v, want 10s", took)
		}
		if n, longest := ended(all); n != len(all) || longest < 19*time.Second || longest > 20*time.Second {
			t.Errorf("%d are disconnected, want %d; the longest advice is %v, want 20s", n, len(all), longest)
		}
	})
}

// TestDrainCut: a drain that is interrupted ends the rest at once.
func TestDrainCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrained(t)
		all := make([]*connection, 1000)
		for i := range all {
			all[i], _ = d.open(uint64(i), false)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		d.set.Drain(ctx, time.Hour)
		if n, _ := ended(all); n != len(all) || time.Since(start) != time.Second {
			t.Errorf("%d are disconnected after %v, want %d after 1s", n, time.Since(start), len(all))
		}
	})
}

// TestDrainFinishes: what is queued for a client is written before its connection ends, and answers to
// its requests are waited for, both for 5 s at most.
func TestDrainFinishes(t *testing.T) {
	for _, mux := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDrained(t)
			asks, socket := d.open(1, mux)
			socket.waits.Store(true)
			slow, _ := d.open(2, mux)
			queued := slow.all()[0].queue
			_ = queued.Put(zmtp.Message{[]byte("queued")})
			start := time.Now()
			go d.set.Drain(t.Context(), time.Minute)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if n, _ := ended([]*connection{asks, slow}); n != 0 {
				t.Fatalf("multiplexed %t: %d were disconnected before they had finished", mux, n)
			}
			socket.waits.Store(false)
			time.Sleep(2 * drainStep)
			synctest.Wait()
			if n, _ := ended([]*connection{asks}); n != 1 {
				t.Errorf("multiplexed %t: the connection with an answer stays", mux)
			}
			time.Sleep(drainGrace + time.Second - time.Since(start))
			synctest.Wait()
			if n, _ := ended([]*connection{slow}); n != 1 {
				t.Errorf("multiplexed %t: the connection of a client that does not read stays", mux)
			}
		})
	}
}

// TestEndRoutes: connections with a stream on a route that is gone end at once, and their clients
// are told when it is their turn. A stream of another connection does not end, and its turn is behind
// theirs.
func TestEndRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrained(t)
		all := make([]*connection, 100)
		for i := range all {
			all[i], _ = d.open(uint64(i), i%2 == 0)
		}
		gone := d.route
		d.route = testRoute(t, "DEALER")
		d.inForce.Store(d.route)
		stays, _ := d.open(101, false)
		all[0].all()[0].route, all[0].route = gone, d.route // the login was on the route that stays
		d.set.BeginDrain()
		start := time.Now()
		d.set.EndRoutes(t.Context())
		n, longest := ended(all)
		if n != len(all) || time.Since(start) > closeGrace || longest < 2900*time.Millisecond || longest > 3*time.Second {
			t.Errorf("%d are disconnected after %v, want %d at once; the longest advice is %v, want 3s", n, time.Since(start), len(all), longest)
		}
		if stays.ending() != nil {
			t.Fatalf("a connection on another route has ended: %v", stays.ending())
		}
		d.set.Drain(t.Context(), time.Minute)
		if stays.ending() == nil || time.Since(start) < 2900*time.Millisecond {
			t.Errorf("the other has ended after %v: %v, want that it waits for its turn", time.Since(start), stays.ending())
		}
	})
}

// TestCloseAdvises: a shutdown ends all connections at once, and tells the clients when it is their turn,
// unless that is at once.
func TestCloseAdvises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n, want := range map[int]time.Duration{10: 0, 1000: 30 * time.Second} {
			d := newDrained(t)
			all := make([]*connection, n)
			for i := range all {
				all[i], _ = d.open(uint64(i), false)
			}
			start := time.Now()
			if err := d.set.Close(t.Context()); err != nil {
				t.Error(err)
			}
			got, longest := ended(all)
			if got != n || time.Since(start) != 0 || longest > want || longest < want-time.Second {
				t.Errorf("%d of %d are disconnected after %v; the longest advice is %v, want %v", got, n, time.Since(start), longest, want)
			}
		}
	})
}
