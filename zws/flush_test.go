package zws_test

import (
	"context"
	"sync"
	"testing"
	"time"

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

// TestFlushTimeout: a client that does not read is disconnected within Options.WriteTimeout, also if
// Flush has written what it could. A client beside it is not.
func TestFlushTimeout(t *testing.T) {
	o := options()
	o.WriteTimeout = 200 * time.Millisecond
	s := serveWith(t, o, plain, accept, drop)
	d := clients(&o, "user")["ZWS2.0/NULL"]
	slow, err := zws.Dial(t.Context(), s.url(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	deaf := (<-s.accepted).conn
	good, err := zws.Dial(t.Context(), s.url(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	heard := (<-s.accepted).conn
	var sources [2]stepwise
	deaf.Channel().Attach(&sources[0])
	heard.Channel().Attach(&sources[1])
	for n := 0; deaf.Context().Err() == nil; n++ {
		sources[0].add(20_000)
		deaf.Channel().Flush()
		sources[1].add(20_000)
		heard.Channel().Flush()
		if m, err := good.Recv(t.Context()); err != nil || m.Size() != numbered(n, 20_000).Size() {
			t.Fatalf("message %d: %d bytes, %v", n, m.Size(), err)
		}
	}
	deaf.Wait()
	if cause := deaf.Cause(); cause.Code != zws.CodeTooSlow {
		t.Errorf("ended with %v, want %d", cause, zws.CodeTooSlow)
	}
	if cause := heard.Cause(); cause != nil {
		t.Errorf("the other connection has ended too: %v", cause)
	}
}
