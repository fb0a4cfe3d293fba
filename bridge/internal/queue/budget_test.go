package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// sharedModel is an obvious model of queues with a budget and without limits of their own.
type sharedModel struct {
	limit  int64
	queues []*budgetModel
}

// budgetModel is one of them. Each message is in a chunk of its own.
type budgetModel struct {
	policy    Policy
	waiting   []string
	dropped   uint64
	conflates bool
	closed    bool
}

func (m *budgetModel) size() (n int64) {
	for _, msg := range m.waiting {
		n += int64(len(msg)) + 1 + itemCost
	}
	return n
}

func (m *budgetModel) add(msg string) {
	same := func(old string) bool { return old[:2] == msg[:2] }
	if i := slices.IndexFunc(m.waiting, same); m.conflates && i >= 0 {
		m.waiting[i] = msg
		m.dropped++
		return
	}
	m.waiting = append(m.waiting, msg)
}

func (m *sharedModel) held() (n int64) {
	for _, q := range m.queues {
		n += q.size()
	}
	return n
}

// put puts msg into q, by the rules of Budget.
func (m *sharedModel) put(q *budgetModel, msg string) {
	if q.closed {
		return
	}
	need := int64(0)
	if q.policy.sheds() {
		q.add(msg)
	} else {
		need = int64(len(msg)) + 1 + itemCost
	}
	for m.held()+need > m.limit {
		f := m.fullest(q.size())
		if f == nil {
			break
		}
		f.shed(f.size() - (m.held() + need - m.limit))
	}
	switch {
	case q.policy.sheds():
	case m.held()+need <= m.limit || len(q.waiting) == 0:
		q.add(msg)
	default:
		q.dropped++
	}
}

func (m *sharedModel) fullest(least int64) (f *budgetModel) {
	for _, q := range m.queues {
		if q.policy.sheds() && len(q.waiting) > 1 && q.size() >= least && (f == nil || q.size() > f.size()) {
			f = q
		}
	}
	return f
}

func (m *budgetModel) shed(target int64) {
	if m.policy == Disconnect {
		m.closed, m.waiting = true, nil
		return
	}
	if m.policy == Conflate && !m.conflates {
		m.conflates = true
		all := m.waiting
		m.waiting = nil
		for _, msg := range all {
			m.add(msg)
		}
	}
	for len(m.waiting) > 1 && m.size() > target {
		m.waiting = m.waiting[1:]
		m.dropped++
	}
}

// TestBudgetModel does the same random operations on queues with a budget and on the model,
// and compares them.
func TestBudgetModel(t *testing.T) {
	policies := []Policy{DropOldest, DropNewest, Conflate, Disconnect}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &sharedModel{limit: 1000 + r.Int64N(20000)}
		b := NewBudget(m.limit, nil)
		var queues []*Queue
		var owners []*owner
		for range 2 + r.IntN(6) {
			policy := policies[r.IntN(len(policies))]
			o := new(owner)
			m.queues = append(m.queues, &budgetModel{policy: policy})
			queues = append(queues, New(Options{OnFull: policy, Codec: lines{}, Budget: b}, o))
			owners = append(owners, o)
		}
		for step := range 300 {
			i := r.IntN(len(queues))
			at := fmt.Sprintf("seed %d, step %d, queue %d (%v)", seed, step, i, m.queues[i].policy)
			if r.IntN(20) == 0 {
				want := m.queues[i].waiting
				if diff := cmp.Diff(want, read(queues[i]), cmp.Comparer(slices.Equal[[]string])); diff != "" {
					t.Fatalf("%s: %s", at, diff)
				}
				m.queues[i].waiting, m.queues[i].conflates = nil, false
			} else {
				msg := fmt.Sprintf("%c,%d.%s", 'a'+r.IntN(8), step, strings.Repeat("x", r.IntN(1500)))
				c := chunk(lines{}, msg)
				_ = queues[i].PutChunk(c) // of a closed queue, or one that closes now: compared below
				c.Release()
				m.put(m.queues[i], msg)
			}
			if b.Held() != m.held() {
				t.Fatalf("%s: %d bytes are held, want %d", at, b.Held(), m.held())
			}
			for i, q := range m.queues {
				closed := 0
				if q.closed {
					closed = 1
				}
				n, _ := queues[i].Len()
				if n != len(q.waiting) || queues[i].Dropped() != q.dropped || owners[i].lost.Load() != q.dropped || owners[i].overflows != closed {
					t.Fatalf("%s: queue %d (%v): %d wait, %d dropped, %d reported, %d overflows; want %d, %d, %d", at, i, q.policy,
						n, queues[i].Dropped(), owners[i].lost.Load(), owners[i].overflows, len(q.waiting), q.dropped, closed)
				}
			}
		}
		for _, q := range queues {
			q.Close()
		}
		if b.Held() != 0 || len(b.queues) != 0 {
			t.Fatalf("seed %d: closed queues hold %d bytes, %d are left", seed, b.Held(), len(b.queues))
		}
	}
}

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
