package queue

import (
	"math/rand/v2"
	"testing"
)

// putOrAdd puts a range of c, or adds it.
func putOrAdd(q *Queue, c *Chunk, from, to int, r *rand.Rand) error {
	if r.IntN(2) == 0 {
		return q.PutRange(c, from, to)
	}
	_, err := q.AddRange(c, from, to)
	return err
}

// TestAddRange: the owner of an empty queue is not woken, but told of what it has to write when it is asked to.
func TestAddRange(t *testing.T) {
	wakes := 0
	o := &owner{wake: func() { wakes++ }}
	q := New(Options{Codec: lines{}}, o)
	c := chunk(lines{}, "a,1", "a,2")
	defer c.Release()
	for i, want := range []bool{true, false} {
		if write, err := q.AddRange(c, i, i+1); write != want || err != nil {
			t.Errorf("message %d: write %v, %v", i, write, err)
		}
	}
	if write, err := q.AddRange(c, 1, 1); write || err != nil {
		t.Errorf("nothing: write %v, %v", write, err)
	}
	if o.announced != 1 {
		t.Errorf("announced %d times", o.announced)
	}
	if q.Write(); o.writes != 1 || wakes != 0 {
		t.Errorf("%d writes and %d wakes", o.writes, wakes)
	}
	if got := read(q); len(got) != 2 {
		t.Errorf("read %q", got)
	}
	q.Close()
	if write, err := q.AddRange(c, 0, 1); write || err != ErrClosed {
		t.Errorf("closed: write %v, %v", write, err)
	}
}

// TestWritePulls: a history is read by a writer of its own, not by the goroutine that delivers.
func TestWritePulls(t *testing.T) {
	for name, pulls := range map[string]func(*Queue){
		"insert": func(q *Queue) { _ = q.Insert(nil) },
		"behind": func(q *Queue) { q.FallBehind() },
	} {
		wakes := 0
		o := &owner{wake: func() { wakes++ }}
		q := New(Options{Codec: lines{}}, o)
		c := chunk(lines{}, "a,1")
		if write, err := q.AddRange(c, 0, 1); !write || err != nil {
			t.Errorf("%s: write %v, %v", name, write, err)
		}
		pulls(q)
		before := wakes
		if q.Write(); o.writes != 0 || wakes != before+1 {
			t.Errorf("%s: %d writes and %d wakes", name, o.writes, wakes-before)
		}
		q.Close()

		o = new(owner)
		q = New(Options{Codec: lines{}}, o)
		pulls(q)
		if _, err := q.AddRange(c, 0, 1); o.announced != 0 || err != nil {
			t.Errorf("%s before: announced %d times, %v", name, o.announced, err)
		}
		q.Close()
		c.Release()
	}
}
