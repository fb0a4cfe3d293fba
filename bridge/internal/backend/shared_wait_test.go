package backend

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestWait covers the Ready rule of a shared socket.
func TestWait(t *testing.T) {
	t.Run("inbound", func(t *testing.T) {
		s := listen(t, zmtp.DEALER)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := wait(s, ctx); !isKind(err, KindUnreachable) {
			t.Errorf("no peer: %v, want that it is unreachable", err)
		}
		waits := make(chan error)
		go func() { waits <- wait(s, t.Context()) }()
		connectPeer(t, s, zmtp.Options{SocketType: zmtp.REP})
		if err := receiveWithin(t, waits); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	t.Run("outgoing", func(t *testing.T) {
		n := newNative(t, zmtp.PUB)
		o := options(zmtp.SUB, n)
		o.Ready = Any
		o.Endpoints = append(o.Endpoints, at(refusing(t, zap.Refused), plain))
		s, err := DialShared(o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := wait(s, t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other has refused", func() bool { return s.Status()[1].State == Refused })
		c := n.accept()
		n.listener.Close()
		c.Close()
		eventually(t, "the loss is noticed", func() bool { return s.Status()[0].Err != nil })
		if err := wait(s, t.Context()); !isKind(err, KindRefused) {
			t.Errorf("one refused and one unreachable: %v, want a refusal", err)
		}
	})
}

// wait waits for the Ready rule as a client that has just come.
func wait(s *Shared, ctx context.Context) error {
	v := s.Enter()
	defer v.Leave()
	return v.Wait(ctx)
}

// newShared dials in a synctest bubble.
func newShared(t *testing.T, o DialOptions) *Shared {
	t.Helper()
	s, err := DialShared(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestNewcomer checks that a client that comes has its backend tried at once, at most one time a
// second, and is told the outcome of that attempt, whatever the back-off is.
func TestNewcomer(t *testing.T) {
	for _, failure := range []error{zmtp.ErrUnreachable, zmtp.ErrClosedBeforeGreeting, &zmtp.RefusedError{Status: zap.Refused}} {
		t.Run(failure.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newOutcomes(t, failure, failure, failure)
				o := a.options(0)
				o.Backoff, o.MaxBackoff = time.Hour, time.Hour
				o.dial = func(ctx context.Context, address string, sec zmtp.ClientSecurity, c zmtp.Options) (*zmtp.Conn, error) {
					conn, err := a.dial(ctx, address, sec, c)
					time.Sleep(time.Millisecond) // so that the first client comes while the first attempt is under way
					return conn, err
				}
				s := newShared(t, o)
				kind := newError(1, failure).Kind
				if err := wait(s, t.Context()); !isKind(err, kind) { // the attempt that is under way
					t.Errorf("the first: %v", err)
				}
				time.Sleep(500 * time.Millisecond)
				first, second := s.Enter(), s.Enter()
				for _, v := range []*Visit{first, second} {
					if err := v.Wait(t.Context()); !isKind(err, kind) {
						t.Errorf("two at the same time: %v", err)
					}
				}
				time.Sleep(10 * time.Second)
				if err := wait(s, t.Context()); !isKind(err, kind) {
					t.Errorf("ten seconds later: %v", err)
				}
				time.Sleep(time.Second)
				if err := wait(s, t.Context()); err != nil {
					t.Errorf("when it is back: %v", err)
				}
				ms := time.Millisecond
				if got, want := a.times(), []time.Duration{0, 1000 * ms, 11001 * ms, 12002 * ms}; !slices.Equal(got, want) {
					t.Errorf("attempts at %v, want %v", got, want)
				}
			})
		})
	}
}

// TestWaitEndsWithItsAttempts checks that others who come meanwhile do not make a client wait for
// their attempts.
func TestWaitEndsWithItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, zmtp.PUB, "one", "two")
		p.setFail("one", zmtp.ErrUnreachable)
		o := p.options(zmtp.SUB)
		o.Ready = Any
		o.Backoff, o.MaxBackoff = time.Hour, time.Hour
		o.dial = func(ctx context.Context, address string, sec zmtp.ClientSecurity, c zmtp.Options) (*zmtp.Conn, error) {
			if address == "two" {
				time.Sleep(5 * time.Second)
				return nil, zmtp.ErrHandshakeTimeout
			}
			return p.dial(ctx, address, sec, c)
		}
		s := newShared(t, o)
		start := time.Now()
		took := make(chan time.Duration, 1)
		go func() {
			if err := wait(s, t.Context()); !isKind(err, KindTimeout) {
				t.Errorf("%v, want a timeout", err)
			}
			took <- time.Since(start)
		}()
		for range 40 {
			time.Sleep(200 * time.Millisecond)
			s.Enter().Leave()
		}
		if d := <-took; d != 5*time.Second {
			t.Errorf("it has waited for %v, want 5 s: as long as the attempt that it found under way", d)
		}
	})
}

// TestRefusedWithoutClients checks that an endpoint that has refused is left alone while there is
// no client, and one that is not reached is not.
func TestRefusedWithoutClients(t *testing.T) {
	for _, tt := range []struct {
		failure error
		clients bool
		again   bool
	}{
		{&zmtp.RefusedError{Status: zap.Refused}, false, false},
		{&zmtp.RefusedError{Status: zap.Refused}, true, true},
		{zmtp.ErrUnreachable, false, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newOutcomes(t, tt.failure)
			o := a.options(0)
			o.dial = func(ctx context.Context, address string, sec zmtp.ClientSecurity, c zmtp.Options) (*zmtp.Conn, error) {
				time.Sleep(time.Millisecond) // so that the client comes before the first attempt ends, and asks for no other
				return a.dial(ctx, address, sec, c)
			}
			s := newShared(t, o)
			v := s.Enter()
			_ = v.Wait(t.Context())
			if !tt.clients {
				v.Leave()
				v.Leave()
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if back := s.Status()[0].State == Connected; back != tt.again {
				t.Errorf("after %v, clients %v: %+v", tt.failure, tt.clients, s.Status()[0])
			}
			v.Leave()
		})
	}
}
