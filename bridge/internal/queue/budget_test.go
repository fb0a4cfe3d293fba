package queue

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// text returns a chunk of n messages, each of which costs as much as size bytes in a budget if
// it is alone.
func text(n, size int) *Chunk {
	c := NewChunk(lines{}, 0)
	for range n {
		c.Append(message(strings.Repeat("x", size-itemCost-1)))
	}
	return c
}

// TestBudgetTaken checks that what the writer has taken counts until it asks for more, and that
// the end of the queue ends that.
func TestBudgetTaken(t *testing.T) {
	for _, codec := range []Codec{nil, lines{}} {
		b := NewBudget(1<<20, nil)
		q := newQueue(Options{Codec: codec, Budget: b})
		put := func() {
			c := chunk(codec, "a,1", "a,2", "a,3")
			defer c.Release()
			q.PutChunk(c)
		}
		put()
		put()
		held := b.Held()
		q.Next(&textBatch{limit: 12})
		if b.Held() != held {
			t.Errorf("%d bytes are held while they are written, want %d", b.Held(), held)
		}
		q.Next(new(textBatch))
		q.Next(new(textBatch))
		if b.Held() != 0 {
			t.Errorf("an empty queue holds %d bytes", b.Held())
		}
		put()
		q.Next(&textBatch{limit: 1})
		q.Close()
		if b.Held() != 0 {
			t.Errorf("a closed queue holds %d bytes", b.Held())
		}
		q.Next(new(textBatch))
		if b.Held() != 0 {
			t.Errorf("a closed queue holds %d bytes after the last write", b.Held())
		}
	}
}

// TestBudgetBlock checks that producers wait at the bound, that a queue that is empty takes one
// message all the same, and that every producer goes on when there is room.
func TestBudgetBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strains := 0
		b := NewBudget(10_000, func() { strains++ })
		var queues []*Queue
		var producers sync.WaitGroup
		const each = 20
		for range 5 {
			q := newQueue(Options{OnFull: Block, Codec: lines{}, Budget: b})
			queues = append(queues, q)
			producers.Go(func() {
				for range each {
					c := text(1, 1000)
					if err := q.PutChunk(c); err != nil {
						t.Error(err)
					}
					c.Release()
				}
			})
		}
		synctest.Wait()
		if !b.Full() && b.Held() > 15_000 || !b.Waiting() || strains != 1 {
			t.Errorf("%d bytes are held, waiting %v, strained %d times", b.Held(), b.Waiting(), strains)
		}
		late := newQueue(Options{OnFull: Block, Codec: lines{}, Budget: b})
		if err := late.Put(message("a")); err != nil { // does not wait
			t.Error(err)
		}
		late.Close()
		got := 0
		for got < 5*each {
			before := got
			for _, q := range queues {
				p := textBatch{limit: 1}
				q.Next(&p)
				got += len(p.lines())
				synctest.Wait()
				if b.Held() > 10_000+5*1000 {
					t.Fatalf("%d bytes are held", b.Held())
				}
			}
			if got == before {
				t.Fatalf("%d of %d messages, and no producer goes on", got, 5*each)
			}
		}
		producers.Wait()
		for _, q := range queues {
			q.Next(new(textBatch))
		}
		if b.Held() != 0 || b.Waiting() {
			t.Errorf("%d bytes are held, waiting %v", b.Held(), b.Waiting())
		}
	})
}

// TestBudgetFreesProducers checks what ends the wait of a producer at the bound: the end of its
// queue, or of the queue that holds the memory, what Take has counted, and a higher limit.
func TestBudgetFreesProducers(t *testing.T) {
	for name, free := range map[string]struct {
		end  func(b *Budget, full, waits *Queue)
		want error
	}{
		"its own is closed":   {func(_ *Budget, _, waits *Queue) { waits.Close() }, ErrClosed},
		"the other is closed": {func(_ *Budget, full, _ *Queue) { full.Close() }, nil},
		"the other is read":   {func(_ *Budget, full, _ *Queue) { read(full) }, nil},
		"its own is read":     {func(_ *Budget, _, waits *Queue) { read(waits) }, nil},
		"Give":                {func(b *Budget, _, _ *Queue) { b.Give(5000) }, nil},
		"SetLimit":            {func(b *Budget, _, _ *Queue) { b.SetLimit(20_000) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBudget(10_000, nil)
				b.Take(5000)
				full := newQueue(Options{OnFull: Block, Codec: lines{}, Budget: b})
				full.PutChunk(text(1, 4000))
				waits := newQueue(Options{OnFull: Block, Codec: lines{}, Budget: b})
				done := make(chan error, 1)
				go func() {
					waits.PutChunk(text(1, 1000))
					done <- waits.PutChunk(text(1, 1000))
				}()
				synctest.Wait()
				if !b.Waiting() {
					t.Fatal("the producer does not wait")
				}
				free.end(b, full, waits)
				if err := <-done; !errors.Is(err, free.want) {
					t.Errorf("%v, want %v", err, free.want)
				}
				if b.Waiting() {
					t.Error("somebody waits still")
				}
			})
		})
	}
}

// TestBudgetTake checks that what is held elsewhere takes room from the queues, and that a lower
// limit does.
func TestBudgetTake(t *testing.T) {
	b := NewBudget(10_000, nil)
	q := newQueue(Options{OnFull: DropOldest, Codec: lines{}, Budget: b})
	for range 10 {
		q.PutChunk(text(1, 1000))
	}
	b.Take(4500)
	if n, _ := q.Len(); n != 5 || b.Held() != 9500 || b.Full() {
		t.Errorf("%d messages, %d bytes; want 5, 9500", n, b.Held())
	}
	b.SetLimit(6000)
	if n, _ := q.Len(); n != 1 || b.Held() != 5500 {
		t.Errorf("%d messages, %d bytes; want 1, 5500", n, b.Held())
	}
}

// TestBudgetKept checks that messages that must not be dropped push others out, never wait, and
// close their own queue when that is not enough.
func TestBudgetKept(t *testing.T) {
	b := NewBudget(10_000, nil)
	var other, own owner
	drops := New(Options{OnFull: DropOldest, Codec: lines{}, Budget: b}, &other)
	keeps := New(Options{OnFull: DropOldest, Codec: lines{}, KeptBytes: 1 << 20, Budget: b}, &own)
	for range 8 {
		drops.PutChunk(text(1, 1000))
	}
	kept := text(1, 1000)
	for i := range 5 {
		if err := keeps.PutKept(kept); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if n, _ := drops.Len(); n != 5 || b.Held() != 10_000 {
		t.Errorf("the other queue holds %d messages, %d bytes in all; want 5, 10000", n, b.Held())
	}
	if err := keeps.PutKept(kept); !errors.Is(err, ErrFull) || own.overflows != 1 || other.overflows != 0 {
		t.Errorf("beyond the bound: %v, %d and %d overflows, want ErrFull, 1 and 0", err, own.overflows, other.overflows)
	}
	if b.Held() != 5000 {
		t.Errorf("%d bytes are held, want 5000", b.Held())
	}
}

// TestBudgetReplay checks that a queue with a history falls behind at the bound, and drops nothing.
func TestBudgetReplay(t *testing.T) {
	b := NewBudget(10_000, nil)
	full := newQueue(Options{OnFull: Block, Codec: lines{}, Budget: b})
	full.PutChunk(text(1, 9900))
	o := new(owner)
	q := New(Options{OnFull: Replay, Codec: lines{}, Budget: b}, o)
	for i := range 3 {
		c := NewChunk(lines{}, 0)
		c.AppendAt(message("a"), []byte{byte(i)})
		if err := q.PutChunk(c); err != nil {
			t.Fatal(err)
		}
		if n, _ := q.Len(); n != 1 || q.Behind() != (i > 0) {
			t.Errorf("after %d: %d messages, behind %v", i, n, q.Behind())
		}
		c.Release()
	}
	if q.Dropped() > 0 || o.overflows > 0 || b.Held() > 10_300 {
		t.Errorf("%d dropped, %d overflows, %d bytes held", q.Dropped(), o.overflows, b.Held())
	}
}

// none is a backlog that nobody reads.
type none struct{}

func (none) CatchUp() Puller    { return nil }
func (none) Reached(Batch) bool { return true }

// TestBudgetYields checks that queues with a history, the fullest first, leave what waits to it when
// others need room, and drop nothing; a queue in which last values have their place keeps what it has.
func TestBudgetYields(t *testing.T) {
	const limit = 20_000
	b := NewBudget(limit, nil)
	put := func(q *Queue, at byte) {
		t.Helper()
		c := NewChunk(lines{}, 0)
		defer c.Release()
		c.AppendAt(message(strings.Repeat("x", 300)), []byte{at})
		if err := q.PutChunk(c); err != nil {
			t.Fatal(err)
		}
	}
	var queues []*Queue
	for i := range 100 {
		q := New(Options{OnFull: Replay, Codec: lines{}, Budget: b, Backlog: none{}}, new(owner))
		queues = append(queues, q)
		for at := range 30 {
			put(q, byte(1+at))
			if held := b.Held(); held > limit+int64(len(queues))*600 {
				t.Fatalf("%d bytes are held by %d queues", held, i+1)
			}
		}
	}
	kept := queues[0]
	before, _ := kept.Len()
	if err := kept.Insert(pullerFunc(nil)); err != nil {
		t.Fatal(err)
	}
	b.Take(limit)
	for i, q := range queues {
		n, _ := q.Len()
		if q.Dropped() > 0 || i > 0 && n > 1 || i == 0 && n != before {
			t.Errorf("queue %d: %d messages, %d dropped", i, n, q.Dropped())
		}
		if n == 0 && q.Missing()[0] != 1 {
			t.Errorf("queue %d misses what follows %d", i, q.Missing()[0])
		}
	}
}

type pullerFunc func(Batch) bool

func (f pullerFunc) Next(b Batch) bool { return f(b) }
func (pullerFunc) Held() int64         { return 0 }

// paused is a puller that is done the second time.
type paused int64

func (p *paused) Next(Batch) bool { *p /= 2; return *p == 500 }
func (p *paused) Held() int64     { return int64(*p) }

// told is a batch of a client with a history.
type told struct{ *textBatch }

func (told) Resumed([]byte, bool, bool) error { return nil }
func (told) Live([]byte) error                { return nil }

// TestBudgetNotifications checks that notifications count until they are written, and what a puller
// holds until it is done, and that the end of the queue ends both.
func TestBudgetNotifications(t *testing.T) {
	b := NewBudget(1<<20, nil)
	q := newQueue(Options{Budget: b})
	for range 2 {
		if err := q.Unsubscribed(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	q.Gap(make([]byte, 16))
	if got, want := b.Held(), int64(2*1000+16+3*insertCost); got != want {
		t.Errorf("%d bytes are held for notifications, want %d", got, want)
	}
	p := paused(2000)
	if err := q.Insert(&p); err != nil {
		t.Fatal(err)
	}
	q.Next(told{new(textBatch)})
	if got := b.Held(); got != 1000 {
		t.Errorf("%d bytes are held for a puller that is not done, want 1000", got)
	}
	q.Next(new(textBatch))
	if got := b.Held(); got != 0 {
		t.Errorf("%d bytes are held for nothing", got)
	}
	p = 2000
	_ = q.Insert(&p)
	q.Next(new(textBatch))
	_ = q.Unsubscribed([]byte("a"))
	if q.Close(); b.Held() != 0 {
		t.Errorf("%d bytes are held for a closed queue", b.Held())
	}
}

// TestBudgetOfNotifications checks that others of the connection make room for notifications.
func TestBudgetOfNotifications(t *testing.T) {
	b := NewBudget(10_000, nil)
	full, q := newQueue(Options{Codec: lines{}, Budget: b}), newQueue(Options{Codec: lines{}, Budget: b})
	c := text(30, 300)
	defer c.Release()
	for i := range 30 {
		full.PutRange(c, i, i+1)
	}
	if err := q.Unsubscribed(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if b.Held() > 10_000 || full.Dropped() == 0 {
		t.Errorf("%d bytes are held, %d messages were dropped", b.Held(), full.Dropped())
	}
}

// TestBudgetConcurrent runs producers and writers of queues with all policies at the same time.
func TestBudgetConcurrent(t *testing.T) {
	const limit, size, each = 20_000, 300, 200
	b := NewBudget(limit, nil)
	var queues []*Queue
	for i := range 10 {
		queues = append(queues, New(Options{OnFull: Policy(i % 5), Messages: 40, Codec: lines{}, Budget: b}, new(owner)))
	}
	var producers, writers sync.WaitGroup
	for _, q := range queues {
		producers.Go(func() {
			for i := range each {
				c := text(1+i%3, size)
				_ = q.PutChunk(c) // a queue that closes itself refuses the rest
				c.Release()
			}
		})
	}
	done := make(chan struct{})
	for _, q := range queues {
		writers.Go(func() {
			for over := false; !over; {
				select {
				case <-done:
					over = true
				default:
				}
				q.Next(&textBatch{limit: 1000})
				if held := b.Held(); held > limit+int64(len(queues))*4*size {
					t.Errorf("%d bytes are held", held)
				}
			}
		})
	}
	producers.Wait()
	close(done)
	writers.Wait()
	for _, q := range queues {
		q.Close()
	}
	if b.Held() != 0 || b.Waiting() {
		t.Errorf("%d bytes are held, waiting %v", b.Held(), b.Waiting())
	}
}
