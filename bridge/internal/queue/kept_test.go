package queue

import (
	"slices"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestKept: what PutKept has put waits for room under every policy and is never dropped.
func TestKept(t *testing.T) {
	for _, policy := range []Policy{DropOldest, DropNewest, Conflate, Disconnect, Block} {
		q := newQueue(Options{Messages: 4, OnFull: policy})
		kept := func(topics ...string) error {
			c := NewChunk(nil, 100)
			defer c.Release()
			for _, topic := range topics {
				c.Append(zmtp.Message{[]byte(topic)})
			}
			return q.PutKept(c)
		}
		if err := kept("k1", "k2", "k3"); err != nil {
			t.Fatal(err)
		}
		want := []string{"k1", "k2", "k3"}
		if policy != Disconnect && policy != Block {
			for _, m := range []string{"a", "b"} { // b does not fit
				if err := q.Put(zmtp.Message{[]byte(m)}); err != nil {
					t.Fatal(err)
				}
			}
			want = append(want, "a")
		}
		want = append(want, "k4", "k5")
		waited := make(chan error, 1)
		go func() { waited <- kept("k4", "k5") }()
		var got []string
		for len(got) < len(want) {
			got = append(got, read(q)...)
		}
		if err := <-waited; err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: got %q, %v, want %q", policy, got, err, want)
		}
		if q.kept != 0 || q.keptBytes != 0 {
			t.Errorf("%v: %d messages of an empty queue are counted as kept", policy, q.kept)
		}
	}
}

// TestKeptBytes: with a limit of its own PutKept does not wait, and ends a client that leaves
// too much unread.
func TestKeptBytes(t *testing.T) {
	o := new(owner)
	q := New(Options{Messages: 2, KeptBytes: 10 * 100}, o)
	chunk := func() *Chunk {
		c := NewChunk(nil, 100)
		c.Append(zmtp.Message{make([]byte, 90)})
		return c
	}
	puts := 0
	for ; puts < 100; puts++ {
		c := chunk()
		err := q.PutKept(c)
		c.Release()
		if err == ErrFull {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Put(zmtp.Message{[]byte("other")}); err != nil {
			t.Fatal(err)
		}
	}
	if puts < 9 || puts > 11 || o.overflows != 1 {
		t.Errorf("%d messages of 90 bytes within 1000, overflows: %d", puts, o.overflows)
	}
	if n := o.lost.Load(); n < 8 {
		t.Errorf("%d other messages were dropped", n)
	}
}

// TestKeptBytesChange changes the limit of kept messages while they are put: none is refused by one
// that is not in force.
func TestKeptBytesChange(t *testing.T) {
	o := Options{Messages: 10_000, Bytes: DefaultBytes}
	q := newQueue(o)
	defer q.Close()
	c := NewChunk(nil, 100)
	defer c.Release()
	c.Append(zmtp.Message{[]byte("topic")})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 2000 {
			o.KeptBytes = int64(i%2) << 20
			q.SetBounds(o)
		}
	}()
	for range 2000 {
		if err := q.PutKept(c); err != nil {
			t.Fatal(err)
		}
	}
	<-done
}
