package backend

import (
	"context"
	"errors"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestBudget has two sockets with one budget send to peers that are away. Together they hold the
// budget and a message each, one that holds nothing takes one all the same, and whatever way
// messages leave, nothing stays booked.
func TestBudget(t *testing.T) {
	for _, socket := range []zmtp.SocketType{zmtp.DEALER, zmtp.PUSH, zmtp.PAIR, zmtp.REQ} {
		t.Run(string(socket), func(t *testing.T) {
			m := message("", "ten bytes!") // 34 bytes of memory
			peer := map[zmtp.SocketType]zmtp.SocketType{zmtp.DEALER: zmtp.ROUTER, zmtp.PUSH: zmtp.PULL, zmtp.PAIR: zmtp.PAIR, zmtp.REQ: zmtp.REP}[socket]
			p := newPipes(t, peer, "one")
			p.setFail("one", zmtp.ErrUnreachable)
			o := p.options(socket)
			o.Ready, o.Linger, o.Budget = None, -1, new(Budget)
			o.Budget.SetLimit(100)
			open := func() *Dedicated { return dial(t, o, newInbox()) }
			first, second := open(), open()
			waits := func(s *Dedicated) (fits int) {
				ctx, cancel := context.WithCancel(t.Context())
				for ; ; fits++ {
					done := make(chan error, 1)
					go func() { done <- s.Send(ctx, m) }()
					waiting := false
					eventually(t, "Send returns or waits", func() bool {
						s.d.core.mu.Lock()
						waiting = s.d.core.room != nil
						s.d.core.mu.Unlock()
						return waiting || len(done) == 1
					})
					if waiting { // and would be sent below, at a time of its own
						cancel()
						if err := <-done; !errors.Is(err, context.Canceled) {
							t.Fatal(err)
						}
						return fits
					}
					if err := <-done; err != nil {
						t.Fatal(err)
					}
				}
			}
			if socket == zmtp.REQ { // one request waits, and a newer one replaces it
				for range 5 {
					send(t, first, m)
					send(t, second, m)
				}
				if held := o.Budget.Held(); held != 68 {
					t.Errorf("%d bytes are held, want 68: a request of each", held)
				}
			} else {
				if n := waits(first); n != 3 {
					t.Errorf("the first socket takes %d messages, want 3", n)
				}
				if n := waits(second); n != 1 {
					t.Errorf("the second socket takes %d messages, want 1", n)
				}
				if held := o.Budget.Held(); held != 4*34 {
					t.Errorf("%d bytes are held, want 136", held)
				}
			}
			if err := second.Close(); err != nil {
				t.Fatal(err)
			}
			p.setFail("one", nil)
			backend := receiveWithin(t, p.served["one"])
			go func() {
				for {
					if _, err := backend.ReadMessage(); err != nil {
						return
					}
				}
			}()
			eventually(t, "nothing is held", func() bool { return o.Budget.Held() == 0 })
			p.setFail("one", zmtp.ErrUnreachable) // nobody would read another connection
			_ = backend.Close()                   // what comes now goes through a connection that breaks
			for range 3 {
				if err := first.Send(t.Context(), m); err != nil && !errors.Is(err, ErrClosed) {
					t.Fatal(err)
				}
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if held := o.Budget.Held(); held != 0 {
				t.Errorf("%d bytes are held after Close", held)
			}
		})
	}
}

// TestSmallFrames checks that a queue of messages of many empty frames is as full as its memory.
func TestSmallFrames(t *testing.T) {
	p := newPipes(t, zmtp.ROUTER, "one")
	p.setFail("one", zmtp.ErrUnreachable)
	o := p.options(zmtp.DEALER)
	o.Ready, o.HighWaterBytes = None, 10_000
	s := dial(t, o, newInbox())
	go func() {
		for s.Send(t.Context(), make(zmtp.Message, 100)) == nil { // 2.4 kB
		}
	}()
	eventually(t, "Send waits", func() bool {
		s.d.core.mu.Lock()
		defer s.d.core.mu.Unlock()
		return s.d.core.room != nil
	})
	if n := s.Stats().Queued; n != 5 {
		t.Errorf("%d messages are queued, want 5", n)
	}
}
