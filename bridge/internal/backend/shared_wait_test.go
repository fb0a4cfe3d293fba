package backend

import (
	"context"
	"testing"
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
		if err := s.Wait(ctx); !isKind(err, KindUnreachable) {
			t.Errorf("no peer: %v, want that it is unreachable", err)
		}
		waits := make(chan error)
		go func() { waits <- s.Wait(t.Context()) }()
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
		lost := make(chan error, 1)
		o.Lost = func(err error) { lost <- err }
		o.Endpoints = append(o.Endpoints, at(refusing(t, zap.Refused), plain))
		s, err := DialShared(o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other has refused", func() bool { return s.Status()[1].State == Refused })
		c := n.accept()
		n.listener.Close()
		c.Close()
		eventually(t, "the loss is noticed", func() bool { return s.Status()[0].Err != nil })
		if err := s.Wait(t.Context()); !isKind(err, KindRefused) {
			t.Errorf("one refused and one unreachable: %v, want a refusal", err)
		}
	})
}

// TestWaitFailsAtOnce checks that Wait does not wait while all backends are unreachable.
func TestWaitFailsAtOnce(t *testing.T) {
	o := options(zmtp.SUB)
	o.Ready = Any
	o.Backoff, o.MaxBackoff = time.Hour, time.Hour
	o.Endpoints = []Endpoint{at(closedPort(t), plain), at(closedPort(t), plain)}
	s, err := DialShared(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		if err := s.Wait(t.Context()); !isKind(err, KindUnreachable) {
			t.Errorf("%v, want that it is unreachable", err)
		}
	}
}
