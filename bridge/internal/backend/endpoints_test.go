package backend

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func setEndpoints(t testing.TB, s interface{ SetEndpoints([]Endpoint) error }, list ...Endpoint) {
	t.Helper()
	if err := s.SetEndpoints(list); err != nil {
		t.Fatal(err)
	}
}

// ended waits until the other side has closed c.
func ended(t testing.TB, c *zmtp.Conn) {
	t.Helper()
	if m, err := c.ReadMessage(); err == nil {
		t.Errorf("got %q, want the end of the connection", text(m))
	}
}

// TestSetEndpoints checks that endpoints come and go while another one keeps its connection,
// and that new ones get the subscriptions.
func TestSetEndpoints(t *testing.T) {
	stays, first, second := newNative(t, zmtp.PUB), newNative(t, zmtp.PUB), newNative(t, zmtp.XPUB)
	in := newInbox()
	s := dial(t, options(zmtp.SUB, stays, first), in)
	subscribe(t, s, "house/")
	a, b := stays.accept(), first.accept()
	want(t, read(t, a), "\x01house/")
	want(t, read(t, b), "\x01house/")

	fromFile := stays.endpoint()
	fromFile.Source = SourceFile
	setEndpoints(t, s, second.endpoint(), fromFile)
	c := second.accept()
	want(t, read(t, c), "\x01house/")
	ended(t, b)
	a.Write(message("house/a", "1"))
	want(t, in.next(t), "house/a|1")
	c.Write(message("house/c", "2"))
	want(t, in.next(t), "house/c|2")
	status := s.Status()
	if len(status) != 2 || status[0].Address != second.endpoint().Address || status[1].Position != 2 ||
		status[1].Source != SourceFile || status[1].Reconnects != 0 {
		t.Errorf("status %+v", status)
	}

	setEndpoints(t, s)
	ended(t, a)
	ended(t, c)
	if got := s.Status(); len(got) != 0 {
		t.Errorf("status %+v of a socket without endpoints", got)
	}
	subscribe(t, s, "attic/")
	setEndpoints(t, s, first.endpoint())
	b = first.accept()
	want(t, sorted([]string{read(t, b), read(t, b)}), "[\x01attic/ \x01house/]")
	b.Write(message("attic/b", "3"))
	want(t, in.next(t), "attic/b|3")
	in.empty(t)
}

// TestSetEndpointsErrors checks that a list that cannot be used changes nothing.
func TestSetEndpointsErrors(t *testing.T) {
	one, two := newNative(t, zmtp.PAIR), newNative(t, zmtp.PAIR)
	s := dial(t, options(zmtp.PAIR, one), newInbox())
	a := one.accept()
	if err := s.SetEndpoints([]Endpoint{one.endpoint(), two.endpoint()}); err == nil {
		t.Error("a PAIR with two endpoints")
	}
	if err := s.SetEndpoints([]Endpoint{{Address: one.endpoint().Address}}); err == nil {
		t.Error("an endpoint without a mechanism")
	}
	send(t, s, message("still there"))
	want(t, read(t, a), "still there")
	s.Close()
	if err := s.SetEndpoints(nil); err != ErrClosed {
		t.Errorf("closed: %v, want ErrClosed", err)
	}
}

// TestDrain checks that a removed backend gets no new request and may answer those that it has,
// in time.
func TestDrain(t *testing.T) {
	for name, c := range map[string]struct {
		ours, theirs zmtp.SocketType
		request      zmtp.Message
	}{
		"DEALER": {zmtp.DEALER, zmtp.ROUTER, message("1")},
		"REQ":    {zmtp.REQ, zmtp.REP, message("", "1")},
	} {
		for _, answers := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPipes(t, c.theirs, "one", "two")
					o := p.options(c.ours)
					o.Endpoints = o.Endpoints[:1]
					in := newInbox()
					s := dial(t, o, in)
					one := <-p.served["one"]
					atOne := reads(one)
					send(t, s, c.request)
					want(t, <-atOne, text(c.request))
					start := time.Now()
					setEndpoints(t, s, at("two", zmtp.Null{}))
					atTwo := reads(<-p.served["two"])
					if c.ours == zmtp.DEALER {
						send(t, s, message("2"))
						want(t, <-atTwo, "2")
					}
					if answers {
						time.Sleep(DefaultDrain - 1)
						one.Write(c.request)
						want(t, in.next(t), text(c.request))
					}
					want(t, <-atOne, "")
					if took, most := time.Since(start), DefaultDrain; took > most || took < most-1 {
						t.Errorf("closed after %v, want that the answer is waited for, %v at most", took, most)
					}
					s.Close()
				})
			})
		}
	}
}

// TestDrainUnwritten checks that what a removed backend did not take within the time goes to
// another, and each message once.
func TestDrainUnwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, zmtp.PULL, "one", "two")
		o := p.options(zmtp.PUSH)
		o.Endpoints = o.Endpoints[:1]
		s, err := DialShared(o)
		if err != nil {
			t.Fatal(err)
		}
		st, err := s.Attach(newInbox(), AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		one := <-p.served["one"]
		for _, m := range []string{"1", "2", "3"} {
			send(t, st, message(m+string(make([]byte, 2000)))) // longer than the read buffer
		}
		got := []string{read(t, one)[:1]}
		setEndpoints(t, s, at("two", zmtp.Null{}))
		two := <-p.served["two"]
		for range 2 {
			got = append(got, read(t, two)[:1])
		}
		want(t, sorted(got), "[1 2 3]")
		if err := one.Close(); err != nil {
			t.Error(err)
		}
		s.Close()
	})
}

// TestNewLogin checks that another login replaces the connection and counts as a reconnect.
func TestNewLogin(t *testing.T) {
	backend := newNative(t, zmtp.PUB)
	in := newInbox()
	s := dial(t, options(zmtp.SUB, backend), in)
	old := backend.accept()
	l, err := zmtp.Listen("tcp://127.0.0.1:0", "PLAIN", open, zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.PUB}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i, password := range []string{"old", "new", "new"} {
		setEndpoints(t, s, at(l.Endpoint(), zmtp.Plain{User: "bridge", Password: password}))
		ended(t, old)
		if i == 2 {
			break
		}
		if old, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "connected", func() bool { return s.Status()[0].State == Connected })
		if got := s.Status()[0].Reconnects; got != i {
			t.Errorf("login %d: %d reconnects, want %d", i, got, i)
		}
		if i == 1 {
			old.Write(message("still", "the same"))
			setEndpoints(t, s, at(l.Endpoint(), zmtp.Plain{User: "bridge", Password: password}))
			want(t, in.next(t), "still|the same")
			old.Close()
		}
	}
}

// TestRoutingIDRests checks that a socket with a routing id connects an added endpoint only once
// the removed ones are closed, and the id has rested.
func TestRoutingIDRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, zmtp.ROUTER, "one", "two")
		o := p.options(zmtp.DEALER)
		o.Endpoints = o.Endpoints[:1]
		o.RoutingID = []byte("bridge")
		s := dial(t, o, newInbox())
		atOne := reads(<-p.served["one"])
		send(t, s, message("1"))
		want(t, <-atOne, "1")
		start := time.Now()
		setEndpoints(t, s, at("two", zmtp.Null{}))
		want(t, <-atOne, "")
		<-p.served["two"]
		if got := time.Since(start); got != DefaultDrain+reuseDelay {
			t.Errorf("connected after %v, want %v", got, DefaultDrain+reuseDelay)
		}
		s.Close()
	})
}

// TestRemoveUnconnected checks that endpoints that are being connected, or wait to be, are
// removed at once, and that a socket without endpoints is not ready.
func TestRemoveUnconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, zmtp.PUB, "one", "two")
		p.setFail("one", zmtp.ErrUnreachable)
		var events []string
		o := p.options(zmtp.SUB)
		o.Endpoints = o.Endpoints[:1]
		o.Backoff, o.MaxBackoff = time.Hour, time.Hour
		gone := make(chan string, 10)
		o.Event = func(s Status) {
			events = append(events, s.State.String())
			if s.State == Gone {
				gone <- s.Address
			}
		}
		s, err := DialShared(o)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if next := s.Status()[0].Next; time.Until(next) < 30*time.Minute {
			t.Errorf("next attempt at %v", next)
		}
		setEndpoints(t, s)
		want(t, <-gone, "one")
		err = wait(s, context.Background())
		if e, ok := err.(*Error); !ok || e.Kind != KindUnreachable {
			t.Errorf("no endpoints: %v, want unreachable", err)
		}
		setEndpoints(t, s, at("two", zmtp.Null{}))
		if err := wait(s, context.Background()); err != nil {
			t.Error(err)
		}
		s.Close()
		synctest.Wait()
		if !slices.Equal(events, []string{"unreachable", "gone", "ready", "gone"}) {
			t.Errorf("events %v", events)
		}
	})
}
