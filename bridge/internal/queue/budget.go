package queue

import (
	"sync"
	"sync/atomic"
)

// Budget bounds what the queues of one connection hold together
// (server.max_connection_bytes). At the bound the policies of the queues decide, the fullest
// first: DropOldest and Conflate drop messages, Disconnect closes the queue, and Replay leaves what
// waits to the backlog. Where fuller queues can give nothing, DropNewest drops the message that does
// not fit, Block waits, and Replay falls behind. Each queue can hold one message beyond the bound, waiting or being written, so that a
// full queue does not stop the others of its connection.
//
// All methods may be called concurrently.
type Budget struct {
	limit    atomic.Int64
	held     atomic.Int64
	strained func()

	mu     sync.Mutex // taken before that of a queue
	queues []*Queue   // those that are not closed, and some that are

	waiting atomic.Int32 // producers that wait for room
	// changes is held for memory only, and is taken with that of a queue held.
	changes sync.Mutex
	changed sync.Cond
	change  uint64 // counts the changes that a waiting producer has to look at
}

// itemCost is what an item costs beside its bytes: a buffer of the smallest class for a short
// message, and the structures around it.
const itemCost = 256

// NewBudget returns a budget of limit bytes. strained, if not nil, is called without a lock
// when a producer begins to wait for room and no other waits; it must not block.
func NewBudget(limit int64, strained func()) *Budget {
	b := &Budget{strained: strained}
	b.limit.Store(limit)
	b.changed.L = &b.changes
	return b
}

// SetLimit changes the bound. If less is held by then, producers that wait go on; if more is,
// messages are dropped as the policies of the queues permit.
func (b *Budget) SetLimit(limit int64) {
	b.limit.Store(limit)
	b.notify()
	b.relieve(nil, 0)
}

// Held returns how many bytes are counted: what waits in the queues and what their writer
// has taken and not finished, as encoded, with 256 bytes for each run of messages; notifications; and
// what pullers have read and not given.
func (b *Budget) Held() int64 { return b.held.Load() }

// Full reports whether the bound is reached.
func (b *Budget) Full() bool { return !b.fits(1) }

// Waiting reports whether a producer waits for room in the budget.
func (b *Budget) Waiting() bool { return b.waiting.Load() > 0 }

// Take counts n bytes that are held for the connection outside of its queues, which make room
// for them as their policies permit. It does not wait: a caller that can, asks Full before.
func (b *Budget) Take(n int64) {
	b.held.Add(n)
	b.relieve(nil, 0)
}

// Give ends what Take began.
func (b *Budget) Give(n int64) { b.add(-n) }

// add changes what is held by n bytes.
func (b *Budget) add(n int64) {
	b.held.Add(n)
	if n < 0 {
		b.notify()
	}
}

// fits reports whether n more bytes can be held.
func (b *Budget) fits(n int64) bool { return b.held.Load()+n <= b.limit.Load() }

// reserve counts n bytes if they fit.
func (b *Budget) reserve(n int64) bool {
	for {
		held := b.held.Load()
		if held+n > b.limit.Load() {
			return false
		}
		if b.held.CompareAndSwap(held, held+n) {
			return true
		}
	}
}

func (b *Budget) join(q *Queue) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q.seat = len(b.queues)
	b.queues = append(b.queues, q)
}

// leave removes q, which is closed. It may be called more than once.
func (b *Budget) leave(q *Queue) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.queues) - 1
	if q.seat > last || b.queues[q.seat] != q {
		return
	}
	b.queues[q.seat] = b.queues[last]
	b.queues[q.seat].seat = q.seat
	b.queues[last] = nil
	b.queues = b.queues[:last]
}

// relieve has the queues free memory until need more bytes fit or none of them can: the
// fullest first, and none that holds less than q, which needs the room; nil is for a need
// outside of the queues. It reports whether q has closed itself. No lock may be held.
func (b *Budget) relieve(q *Queue, need int64) (closed bool) {
	for !b.fits(need) {
		b.mu.Lock()
		over := b.held.Load() + need - b.limit.Load()
		f := b.fullest(q)
		if over <= 0 || f == nil {
			b.mu.Unlock()
			return closed
		}
		lost, overflow := f.shed(over)
		b.mu.Unlock()
		if lost > 0 {
			f.owner.Lost(lost)
		}
		if overflow {
			closed = closed || f == q
			f.owner.Overflow()
		}
	}
	return closed
}

// fullest returns the fullest queue that can free memory; nil if there is none that holds at
// least as much as q. b.mu is held on entry.
func (b *Budget) fullest(q *Queue) (f *Queue) {
	most := int64(-1)
	if q != nil {
		most = q.size.Load() - 1
	}
	for _, other := range b.queues {
		if size := other.size.Load(); size > most && other.sheds.Load() {
			f, most = other, size
		}
	}
	return f
}

// notify has waiting producers look again. A queue may be locked.
func (b *Budget) notify() {
	if b.waiting.Load() == 0 {
		return
	}
	b.changes.Lock()
	b.change++
	b.changes.Unlock()
	b.changed.Broadcast()
}

// await waits until done, which is called without a lock. What done depends on calls notify
// after it has changed.
func (b *Budget) await(done func() bool) {
	if b.waiting.Add(1) == 1 && b.strained != nil {
		b.strained()
	}
	defer b.waiting.Add(-1)
	for {
		b.changes.Lock()
		seen := b.change
		b.changes.Unlock()
		if done() {
			return
		}
		b.changes.Lock()
		for b.change == seen {
			b.changed.Wait()
		}
		b.changes.Unlock()
	}
}
