package queue

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestBlock checks that producers wait for room and nothing is lost.
func TestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(Options{Messages: 3, OnFull: Block, Codec: lines{}})
		var producers sync.WaitGroup
		for _, topic := range []string{"a", "b"} {
			producers.Go(func() {
				c := NewChunk(lines{}, 0)
				defer c.Release()
				for i := range 50 {
					c.Append(message(topic, fmt.Sprint(i)))
				}
				if err := q.PutChunk(c); err != nil {
					t.Error(err)
				}
			})
		}
		got := map[string][]string{}
		for range 200 {
			synctest.Wait()
			if n, _ := q.Len(); n > 3 {
				t.Fatalf("%d messages wait, the limit is 3", n)
			}
			p := textBatch{limit: 1}
			q.Next(&p)
			for _, l := range p.lines() {
				got[l[:1]] = append(got[l[:1]], l[2:])
			}
		}
		producers.Wait()
		for topic, seq := range got {
			for i, s := range seq {
				if s != fmt.Sprint(i) || len(seq) != 50 {
					t.Fatalf("%s: got %q", topic, seq)
				}
			}
		}
	})
}

func TestCloseWakesProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(Options{Messages: 1, OnFull: Block})
		done := make(chan error, 1)
		go func() {
			q.Put(message("a"))
			done <- q.Put(message("b"))
		}()
		synctest.Wait()
		q.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("blocked put: %v, want ErrClosed", err)
		}
	})
}

// TestClosedInPut closes the queue while a producer wakes the writer.
func TestClosedInPut(t *testing.T) {
	var q *Queue
	q = New(Options{Messages: 1, OnFull: Block, Codec: lines{}}, &owner{wake: func() { q.Close() }})
	c := chunk(lines{}, "a,1", "a,2")
	if err := q.PutChunk(c); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if n, _ := q.Len(); n != 0 || c.refs.Load() != 1 {
		t.Errorf("a closed queue holds %d messages, the chunk has %d references", n, c.refs.Load())
	}
}

// TestWake checks that the writer is woken once for everything that it has not taken yet, and
// before a producer waits for it.
func TestWake(t *testing.T) {
	wakes := 0
	var q *Queue
	o := Options{Messages: 2, OnFull: Block, Codec: lines{}}
	q = New(o, &owner{wake: func() { wakes++ }})
	q.Put(message("a"))
	q.Put(message("b"))
	if wakes != 1 {
		t.Errorf("%d wakes for two messages, want 1", wakes)
	}
	read(q)
	woken := make(chan struct{}, 10)
	q = New(o, &owner{wake: func() { woken <- struct{}{} }})
	var got []string
	var writer sync.WaitGroup
	writer.Go(func() {
		for len(got) < 5 {
			<-woken
			got = append(got, read(q)...)
		}
	})
	c := chunk(lines{}, "a", "b", "c", "d", "e")
	if err := q.PutChunk(c); err != nil {
		t.Fatal(err)
	}
	writer.Wait()
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestConcurrent runs producers and a writer at the same time.
func TestConcurrent(t *testing.T) {
	for _, policy := range []Policy{DropOldest, DropNewest, Conflate, Block} {
		q := newQueue(Options{Messages: 50, OnFull: policy, Codec: lines{}})
		const producers, each = 4, 2000
		var working sync.WaitGroup
		for p := range producers {
			working.Go(func() {
				for i := 0; i < each; {
					c := NewChunk(lines{}, 0)
					for range min(1+i%7, each-i) {
						c.Append(message(fmt.Sprint(p), fmt.Sprint(i)))
						i++
					}
					q.PutChunk(c)
					c.Release()
				}
			})
		}
		finished := make(chan struct{})
		go func() { working.Wait(); close(finished) }()
		last := map[string]int{}
		got := 0
		for over := false; !over; {
			select {
			case <-finished:
				over = true
			default:
			}
			for _, l := range read(q) {
				var n int
				topic, rest, _ := strings.Cut(l, ",")
				fmt.Sscan(rest, &n)
				if before, ok := last[topic]; ok && n <= before {
					t.Fatalf("%v: topic %s: %d after %d", policy, topic, n, before)
				}
				last[topic] = n
				got++
			}
		}
		if want := producers*each - int(q.Dropped()); got != want {
			t.Errorf("%v: got %d messages, want %d", policy, got, want)
		}
	}
}
