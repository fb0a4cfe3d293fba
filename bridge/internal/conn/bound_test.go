package conn

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// batch is a queue.Batch for one message.
type batch struct {
	queue.History // not used
	full          bool
}

func (b *batch) Message(zmtp.Message, []byte) error { b.full = true; return nil }
func (b *batch) Encoded([]byte)                     { b.full = true }
func (*batch) Unsubscribed([]byte) error            { return nil }
func (b *batch) Full() bool                         { return b.full }

// held are two streams of a multiplexed connection with room for 10 kB: the first holds about
// 6 kB and the second 3 kB, and a message for the second waits. The route's write_timeout is 10 s.
type held struct {
	c             *connection
	first, second *stream
	waits         chan error // what the put of the message that waits returns
}

func newHeld(t *testing.T) *held {
	s := NewSet(Options{})
	s.SetMaxBytes(10_000)
	id := session{route: testRoute(t, "DEALER")}
	h := &held{c: s.newConnection(id, "", &zws.Login{Multiplexed: true}), waits: make(chan error, 1)}
	t.Cleanup(h.c.bound.stop)
	h.first, h.second = h.open(1), h.open(2)
	for range 2 {
		h.first.queue.Put(zmtp.Message{make([]byte, 2700)})
	}
	h.second.queue.Put(zmtp.Message{make([]byte, 2700)})
	go func() { h.waits <- h.second.queue.Put(zmtp.Message{make([]byte, 2700)}) }()
	return h
}

func (h *held) open(number uint64) *stream {
	own := h.c.session
	s := &stream{session: &own, conn: h.c}
	s.number = number
	s.queue = queue.New(h.c.share(queue.Options{OnFull: queue.Block}), s)
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.c.add(s)
	return s
}

func (h *held) causes() [2]error { return [2]error{h.first.ending(), h.second.ending()} }

// TestBound: the fullest stream ends with 4508 after write_timeout without progress, and the
// producer goes on once its queue is closed.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld(t)
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		if h.causes() != [2]error{} {
			t.Fatalf("before write_timeout: %v", h.causes())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !errors.Is(h.first.ending(), errHoldsUp) || h.second.ending() != nil {
			t.Fatalf("after write_timeout: %v, want that the first ends", h.causes())
		}
		h.first.queue.Close()
		if err := <-h.waits; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour) // nobody waits any more
		if h.second.ending() != nil {
			t.Errorf("below the bound: %v", h.causes())
		}
	})
}

// TestBoundProgress: a client that takes a message of the fullest stream gets another
// write_timeout, and one that does not wait any more is left alone.
func TestBoundProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld(t)
		third := h.open(3)
		third.queue.Put(zmtp.Message{make([]byte, 50)})
		time.Sleep(5 * time.Second)
		var b batch
		h.first.queue.Next(&b) // being written: the memory is still held
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if h.causes() != [2]error{} {
			t.Fatalf("the client has taken something: %v", h.causes())
		}
		h.first.queue.Next(&b) // written
		if err := <-h.waits; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if h.causes() != [2]error{} || third.ending() != nil {
			t.Errorf("nobody waits: %v, %v", h.causes(), third.ending())
		}
	})
}

// TestBoundStop: the end of the connection ends the watch.
func TestBoundStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld(t)
		synctest.Wait()
		h.c.bound.stop()
		time.Sleep(time.Hour)
		h.second.queue.Close()
		<-h.waits
		h.c.watch()
		time.Sleep(time.Hour)
		if h.causes() != [2]error{} {
			t.Error(h.causes())
		}
	})
}

// TestBoundPlain: a plain connection has a budget only if the limits of its queue need one.
func TestBoundPlain(t *testing.T) {
	s := NewSet(Options{})
	s.SetMaxBytes(1000)
	for _, test := range []struct {
		o    queue.Options
		want bool
	}{
		{queue.Options{Bytes: 1000}, false},
		{queue.Options{Bytes: 1001}, true},
		{queue.Options{Bytes: 500, KeptBytes: 501}, true},
	} {
		c := s.newConnection(session{}, "", new(zws.Login))
		if got := c.share(test.o).Budget != nil; got != test.want {
			t.Errorf("%+v: budget %v, want %v", test.o, got, test.want)
		}
	}
}
