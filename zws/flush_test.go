package zws_test

import (
	"context"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
)

// TestFlushDoesNotWait: Flush returns although the client does not read, and the client then gets
// everything in order.
func TestFlushDoesNotWait(t *testing.T) {
	const messages = 1000
	o := options()
	s := serveWith(t, o, plain, accept, drop)
	c, err := zws.Dial(t.Context(), s.url(), clients(&o, "user")["ZWS2.0/NULL"])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn := (<-s.accepted).conn
	source := &stepwise{}
	conn.Channel().Attach(source)
	for range messages { // of 20 kB, more than the kernel takes
		source.add(20_000)
		conn.Channel().Flush()
	}
	for i := range messages {
		m, err := c.Recv(context.Background())
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if want := numbered(i, 20_000); len(m) != 2 || string(m[0]) != string(want[0]) || len(m[1]) != 20_000 {
			t.Fatalf("message %d is %d frames beginning with %x", i, len(m), m[0])
		}
	}
}

// stepwise is a Source of numbered messages that are added one by one.
type stepwise struct {
	mu    sync.Mutex
	sizes []int
	next  int
}

func (s *stepwise) add(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = append(s.sizes, size)
}

// Next implements zws.Source.
func (s *stepwise) Next(b *zws.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; len(s.sizes) > 0 && !b.Full(); s.sizes = s.sizes[1:] {
		b.Message(numbered(s.next, s.sizes[0]), nil)
		s.next++
	}
}
