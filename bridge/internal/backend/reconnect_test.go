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

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestReconnect checks that a publisher that was lost gets the current subscriptions when it is
// back, while another one is served.
func TestReconnect(t *testing.T) {
	first, second := newNative(t, zmtp.PUB), newNative(t, zmtp.XPUB)
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

// TestRefusedOnReconnect checks that an endpoint that refuses is not tried again, and that Lost is
// called once, after the last one.
func TestRefusedOnReconnect(t *testing.T) {
	var mu sync.Mutex
	status, asked := zap.OK, 0
	sec := open
	sec.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return &zap.Reply{Status: status}, nil
	})
	listen := func() *native {
		l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, sec, zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.ROUTER}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return &native{t: t, listener: l}
	}
	one, two := listen(), listen()
	lost := make(chan error, 10)
	o := options(zmtp.DEALER, one, two)
	o.Lost = func(err error) { lost <- err }
	s := dial(t, o, newInbox())
	a, b := one.accept(), two.accept()
	mu.Lock()
	status = zap.Refused
	mu.Unlock()
	a.Close()
	eventually(t, "the first refuses", func() bool { return s.Status()[0].State == Refused })
	if len(lost) > 0 {
		t.Fatal("Lost was called while one is ready")
	}
	send(t, s, message("x"))
	want(t, read(t, b), "x")
	b.Close()
	err := receiveWithin(t, lost)
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.Position != 2 || failure.Kind != KindRefused {
		t.Errorf("Lost(%v), want a refusal of backend 2", err)
	}
	if sent := s.Send(t.Context(), message("y")); sent != err {
		t.Errorf("Send: %v, want %v", sent, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if asked != 4 {
		t.Errorf("%d logins, want 4: two good ones, two refused", asked)
	}
}

// attempts dials with a list of outcomes; nil connects.
type attempts struct {
	*pipes
	mu       sync.Mutex
	outcomes []error
	at       []time.Duration // since the start
	start    time.Time
}

func (a *attempts) dial(ctx context.Context, address string, sec zmtp.ClientSecurity, o zmtp.Options) (*zmtp.Conn, error) {
	a.mu.Lock()
	a.at = append(a.at, time.Since(a.start))
	var err error
	if len(a.outcomes) > 0 {
		err, a.outcomes = a.outcomes[0], a.outcomes[1:]
	}
	a.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return a.pipes.dial(ctx, address, sec, o)
}

func (a *attempts) times() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.at)
}

// newAttempts must be called in a synctest bubble.
func newAttempts(t *testing.T, outcomes ...error) *attempts {
	return &attempts{pipes: newPipes(t, zmtp.PUB, "one"), outcomes: outcomes, start: time.Now()}
}

func (a *attempts) options(rand float64) DialOptions {
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
		a := newAttempts(t, gone, gone, gone, gone, zmtp.ErrHandshakeTimeout, gone, gone, gone, gone, gone)
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
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			b.sleep(t.Context())
			if got, want := time.Since(start), time.Second-time.Duration(rand*float64(time.Second)/2); got != want {
				t.Errorf("rand %v: waits %v, want %v", rand, got, want)
			}
		})
	}
}

// TestBackoffResets checks that waits start again at Backoff after a connection that has lasted,
// and only then.
func TestBackoffResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts(t)
		s, err := Dial(t.Context(), a.options(0), newInbox())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			(<-a.served["one"]).Close() // at once
		}
		c := <-a.served["one"]
		time.Sleep(10 * time.Second)
		c.Close()
		<-a.served["one"]
		ms := time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 10800 * ms}
		if got := a.times(); !slices.Equal(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
		s.Close()
	})
}

// TestHangUps checks that closing the connection during the login counts as a refusal: at once
// while Dial waits, later the third time in a row.
func TestHangUps(t *testing.T) {
	hangup, gone := zmtp.ErrClosedBeforeWelcome, zmtp.ErrUnreachable
	for _, c := range []struct {
		name     string
		outcomes []error
		attempts int
		refused  bool
	}{
		{"at once", []error{hangup}, 1, true},
		{"twice", []error{nil, hangup, hangup}, 4, false},
		{"three times", []error{nil, hangup, hangup, hangup}, 4, true},
		{"not in a row", []error{nil, hangup, hangup, gone, hangup, hangup}, 7, false},
		{"an ERROR is enough", []error{nil, &zmtp.RefusedError{Status: zap.Refused}}, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAttempts(t, c.outcomes...)
				o := a.options(0)
				lost := make(chan error, 1)
				o.Lost = func(err error) { lost <- err }
				s, err := Dial(t.Context(), o, newInbox())
				if err == nil {
					(<-a.served["one"]).Close()
					time.Sleep(time.Minute)
					synctest.Wait()
					if refused := len(lost) > 0; refused != c.refused {
						t.Errorf("refused: %v, want %v", refused, c.refused)
					}
					s.Close()
				}
				if n := len(a.times()); n != c.attempts {
					t.Errorf("%d attempts, want %d", n, c.attempts)
				}
			})
		})
	}
}

// TestEvents checks that every change is reported.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts(t, nil, zmtp.ErrUnreachable, &zmtp.RefusedError{Status: zap.Refused})
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
		want := []string{"1 ready false", "1 unreachable false", "1 connecting false", "1 unreachable true", "1 connecting true", "1 refused true"}
		if !slices.Equal(events, want) {
			t.Errorf("events %q, want %q", events, want)
		}
	})
}
