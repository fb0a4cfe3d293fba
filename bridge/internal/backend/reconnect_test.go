package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/testport"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestReconnect checks that a publisher that was lost gets the current subscriptions when it is
// back, while another one is served.
func TestReconnect(t *testing.T) {
	first := listenNative(t, zmtp.Options{SocketType: zmtp.PUB}, "tcp://"+testport.Reserve(t))
	second := newNative(t, zmtp.XPUB)
	in := newInbox()
	s := dial(t, options(zmtp.SUB, first, second), in)
	subscribe(t, s, "house/1/", "house/2/", "house/2/")
	unsubscribe(t, s, "house/2/", "never subscribed to")
	a, b := first.accept(), second.accept()
	for _, c := range []*zmtp.Conn{a, b} {
		want(t, read(t, c), "\x01house/1/")
		want(t, read(t, c), "\x01house/2/")
		want(t, read(t, c), "\x00house/2/")
	}
	a.Write(message("house/1/a", "21"))
	want(t, in.next(t), "house/1/a|21")
	b.Write(message("house/1/b", "22"))
	want(t, in.next(t), "house/1/b|22")

	first.listener.Close()
	a.Close()
	eventually(t, "the loss is noticed", func() bool { return s.Status()[0].State == Waiting })
	subscribe(t, s, "house/3/")
	want(t, read(t, b), "\x01house/3/")
	b.Write(message("house/1/b", "23"))
	want(t, in.next(t), "house/1/b|23")

	again := listenNative(t, first.o, first.listener.Endpoint())
	a = again.accept()
	got := []string{read(t, a), read(t, a)}
	want(t, sorted(got), "[\x01house/1/ \x01house/3/]")
	a.Write(message("house/3/a", "24"))
	want(t, in.next(t), "house/3/a|24")
	if status := s.Status()[0]; status.Reconnects != 1 || status.State != Connected || status.Err != nil {
		t.Errorf("status %+v", status)
	}
	s.Close()
	if _, err := a.ReadMessage(); err == nil {
		t.Error("the connection outlives the socket")
	}
}

// TestRefusedOnReconnect checks that an endpoint that refuses is tried again after waits that
// grow to a minute, that it is served when it does not refuse any more, and that the socket does
// not end meanwhile.
func TestRefusedOnReconnect(t *testing.T) {
	refused := &zmtp.RefusedError{Status: zap.Refused}
	for _, c := range []struct {
		name  string
		with  error
		honor bool // HonorError
		want  []time.Duration
	}{
		{"ERROR", refused, false, []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60}},
		{"mechanism", &zmtp.MechanismError{Want: zap.NULL, Got: zap.CURVE}, false, []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60}},
		{"not ZMTP", zmtp.ErrNotZMTP, true, []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60}},
		{"closed after HELLO", zmtp.ErrClosedBeforeWelcome, true, []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60}},
		{"ERROR to a client's credentials", refused, true, []time.Duration{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newOutcomes(t, append([]error{nil}, slices.Repeat([]error{c.with}, 8)...)...)
				o := a.options(0)
				o.HonorError = c.honor
				s := dial(t, o, newInbox())
				subscribe(t, s, "a")
				lost := time.Now()
				(<-a.served["one"]).Close()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				var waits []time.Duration // between attempts after the loss, in seconds
				for _, at := range a.times()[1:] {
					waits = append(waits, a.start.Add(at).Sub(lost).Truncate(time.Second)/time.Second)
					lost = a.start.Add(at)
				}
				if !slices.Equal(waits, c.want) {
					t.Errorf("waits of %v s, want %v", waits, c.want)
				}
				if len(c.want) == 1 {
					if status := s.Status()[0]; status.State != Refused || !status.Next.IsZero() {
						t.Errorf("status %+v, want that nothing is due", status)
					}
					subscribe(t, s, "b")
					return
				}
				want(t, read(t, <-a.served["one"]), "\x01a")
			})
		})
	}
}

// outcomes dials with a list of them; nil connects.
type outcomes struct {
	*pipes
	mu    sync.Mutex
	list  []error
	at    []time.Duration // since the start
	start time.Time
}

func (a *outcomes) dial(ctx context.Context, address string, sec zmtp.ClientSecurity, o zmtp.Options) (*zmtp.Conn, error) {
	a.mu.Lock()
	a.at = append(a.at, time.Since(a.start))
	var err error
	if len(a.list) > 0 {
		err, a.list = a.list[0], a.list[1:]
	}
	a.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return a.pipes.dial(ctx, address, sec, o)
}

func (a *outcomes) times() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.at)
}

// newOutcomes must be called in a synctest bubble.
func newOutcomes(t *testing.T, list ...error) *outcomes {
	return &outcomes{pipes: newPipes(t, zmtp.PUB, "one"), list: list, start: time.Now()}
}

func (a *outcomes) options(rand float64) DialOptions {
	o := a.pipes.options(zmtp.SUB)
	o.dial = a.dial
	o.Backoff, o.MaxBackoff = 0, 0 // defaults: 100 ms, 10 s
	o.Rand = func() float64 { return rand }
	return o
}

// TestBackoff checks that waits double from Backoff to MaxBackoff, and the random part.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := zmtp.ErrUnreachable
		a := newOutcomes(t, gone, gone, gone, gone, zmtp.ErrHandshakeTimeout, gone, gone, gone, gone, gone)
		o := a.options(0)
		o.Ready = None
		s, err := Dial(t.Context(), o, newInbox())
		if err != nil {
			t.Fatal(err)
		}
		<-a.served["one"]
		ms := time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, 6300 * ms, 12700 * ms, 22700 * ms, 32700 * ms, 42700 * ms}
		if got := a.times(); !slices.Equal(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
		s.Close()
	})
	for _, rand := range []float64{0, 0.5, 0.999} {
		b := backoff{first: time.Second, most: time.Second, rand: func() float64 { return rand }}
		if got, want := b.next(false), time.Second-time.Duration(rand*float64(time.Second)/2); got != want {
			t.Errorf("rand %v: waits %v, want %v", rand, got, want)
		}
	}
}

// TestBackoffResets checks that waits start again at Backoff after a connection that has lasted,
// and only then.
func TestBackoffResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newOutcomes(t)
		s, err := Dial(t.Context(), a.options(0), newInbox())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			(<-a.served["one"]).Close() // at once
		}
		c := <-a.served["one"]
		time.Sleep(time.Second)
		c.Close()
		<-a.served["one"]
		ms := time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1800 * ms}
		if got := a.times(); !slices.Equal(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
		s.Close()
	})
}

// TestHangUps checks that closing the connection during the login is not a refusal, except after
// a CURVE HELLO: what Dial returns, and that a backend that was connected is tried again until it
// is back, at the pace of one that is not reached.
func TestHangUps(t *testing.T) {
	for _, c := range []struct {
		hangup error
		kind   Kind
		paced  bool // as if it was not reached
	}{
		{zmtp.ErrClosedBeforeGreeting, KindUnreachable, true},
		{zmtp.ErrClosedDuringLogin, KindUnreachable, true},
		{zmtp.ErrClosedBeforeWelcome, KindRefused, false},
		{zmtp.ErrClosedAfterWelcome, KindRefused, false},
	} {
		t.Run(c.hangup.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newOutcomes(t, c.hangup)
				if _, err := Dial(t.Context(), a.options(0), newInbox()); !isKind(err, c.kind) {
					t.Errorf("Dial: %v, want kind %d", err, c.kind)
				}
				a = newOutcomes(t, nil, c.hangup, c.hangup, c.hangup, c.hangup)
				s := dial(t, a.options(0), newInbox())
				(<-a.served["one"]).Close()
				time.Sleep(3200 * time.Millisecond)
				synctest.Wait()
				if back := s.Status()[0].State == Connected; back != c.paced {
					t.Errorf("after four attempts: %+v", s.Status()[0])
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if s.Status()[0].State != Connected {
					t.Errorf("after a minute: %+v", s.Status()[0])
				}
				s.Close()
			})
		})
	}
}

// TestEvents checks that every change is reported.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newOutcomes(t, nil, zmtp.ErrUnreachable, &zmtp.RefusedError{Status: zap.Refused})
		o := a.options(0)
		var mu sync.Mutex
		var events []string
		o.Event = func(s Status) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, fmt.Sprintf("%d %v %v", s.Position, s.State, s.Err != nil))
		}
		s, err := Dial(t.Context(), o, newInbox())
		if err != nil {
			t.Fatal(err)
		}
		(<-a.served["one"]).Close()
		time.Sleep(time.Minute)
		s.Close()
		want := []string{"1 ready false", "1 unreachable false", "1 connecting false", "1 unreachable true",
			"1 connecting true", "1 refused true", "1 connecting true", "1 ready false", "1 gone false"}
		if !slices.Equal(events, want) {
			t.Errorf("events %q, want %q", events, want)
		}
	})
}

// TestRenew checks that each attempt after the first logs in with what Renew returns, and that its
// error is one of the attempt.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newOutcomes(t, zmtp.ErrUnreachable)
		o := a.options(0)
		o.Ready = None
		renewed := []error{errors.New("no such file"), nil, nil}
		o.Endpoints[0].Security = zmtp.Plain{User: "old"}
		o.Endpoints[0].Renew = func() (zmtp.ClientSecurity, error) {
			err := renewed[0]
			renewed = renewed[1:]
			return zmtp.Null{}, err
		}
		var used []zmtp.ClientSecurity
		dialed := o.dial
		o.dial = func(ctx context.Context, address string, sec zmtp.ClientSecurity, o zmtp.Options) (*zmtp.Conn, error) {
			used = append(used, sec)
			return dialed(ctx, address, sec, o)
		}
		s := dial(t, o, newInbox())
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if status := s.Status()[0]; status.State != Refused {
			t.Errorf("credentials that cannot be read: %+v", status)
		}
		(<-a.served["one"]).Close()
		<-a.served["one"]
		want := []zmtp.ClientSecurity{zmtp.Plain{User: "old"}, zmtp.Null{}, zmtp.Null{}}
		if !slices.Equal(used, want) {
			t.Errorf("logins %v, want %v", used, want)
		}
		s.Close()
	})
}
