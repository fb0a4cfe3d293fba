package queue

import "sync/atomic"

// share is what a queue has of a Budget.
type share struct {
	seat int // index in Budget.queues; guarded by Budget.mu

	// Changed with the queue locked, read without it.
	size  atomic.Int64 // what the budget counts for the queue
	sheds atomic.Bool  // the queue can free memory: it has a message to spare, and its policy gives it up
}

// cost returns what the messages of it cost in a budget.
func (it *item) cost() int64 { return it.bytes() + itemCost }

// cost returns what a budget counts for the queue. Lock held on entry.
func (q *Queue) cost() int64 {
	return q.bytes + q.taken + q.pulled + q.noted + itemCost*int64(q.items.len)
}

// insertCost is what an insert costs beside its topic or position.
const insertCost = 64

// cost returns what the insert costs in a budget.
func (n *insert) cost() int64 { return insertCost + int64(len(n.topic)+len(n.gap)) }

// policy returns what the queue does at a limit. While it holds messages that must not be
// dropped, none is dropped at the front. Lock held on entry.
func (q *Queue) policy() Policy {
	if q.kept > 0 && (q.o.OnFull == DropOldest || q.o.OnFull == Conflate) {
		return DropNewest
	}
	return q.o.OnFull
}

// sheds reports whether a queue with this policy makes room, and does not refuse or wait.
func (p Policy) sheds() bool { return p == DropOldest || p == Conflate || p == Disconnect }

// settle has the budget count what the queue holds now. Lock held on entry; it is called
// before every unlock after a change.
func (q *Queue) settle() {
	b := q.o.Budget
	if b == nil {
		return
	}
	cost := q.cost()
	b.add(cost - q.size.Swap(cost))
	q.sheds.Store(q.spare() && (q.policy().sheds() || q.yields()))
}

// spare reports whether the queue holds more than the one message that it can hold beyond the
// bound, waiting or being written. Lock held on entry.
func (q *Queue) spare() bool { return q.messages > 1 || q.messages == 1 && q.taken > 0 }

// claim returns how many messages of it, from its first, may be pushed now, by the limits of
// the queue and by the budget, which counts them already. Lock held on entry.
func (q *Queue) claim(it item) int {
	n := q.room(it)
	b := q.o.Budget
	if b == nil {
		return n
	}
	part := it
	for part.to = it.from + int32(n); part.messages() > 0; {
		if b.reserve(part.cost()) {
			break
		}
		for part.messages() > 0 && !b.fits(part.cost()) {
			part.to--
		}
	}
	switch {
	case part.messages() > 0:
	case n > 0 && q.size.Load() == 0: // an empty queue takes a message of any size
		part.to++
		b.add(part.cost())
	default:
		return 0
	}
	q.size.Add(part.cost())
	return part.messages()
}

// cramped reports whether the budget has not enough room for what the queue's own limits would
// take of it. Lock held on entry.
func (q *Queue) cramped(it item) bool {
	b := q.o.Budget
	if b == nil {
		return false
	}
	it.to = it.from + int32(q.room(it))
	return it.messages() > 0 && !b.fits(it.cost())
}

// relieve has fuller queues of the budget make room for what the queue's own limits would take
// of it. Lock held on entry and on return; it unlocks in between.
func (q *Queue) relieve(it item) {
	it.to = it.from + int32(q.room(it))
	q.settle()
	q.mu.Unlock()
	q.o.Budget.relieve(q, it.cost())
	q.mu.Lock()
}

// await waits until the budget has room for the first message of it, or the queue takes it
// without, being empty. Lock held on entry and on return; it unlocks in between.
func (q *Queue) await(it item) {
	b := q.o.Budget
	it.to = it.from + 1
	q.settle()
	q.mu.Unlock()
	b.await(func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.closed || q.size.Load() == 0 || b.fits(it.cost()) || !q.blocks(it)
	})
	q.mu.Lock()
}

// shed frees over bytes as the policy says, as far as the queue has messages to spare. It returns how many
// messages the owner has to be told of, and whether the queue has closed itself. Budget.mu is
// held on entry.
func (q *Queue) shed(over int64) (lost uint64, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	target := q.cost() - over
	switch q.policy() {
	case Disconnect:
		if full = q.spare(); full {
			q.close()
		}
	case Conflate:
		q.conflate(item{})
		q.dropUntil(target)
	case DropOldest:
		q.dropUntil(target)
	case Replay:
		if q.spare() && q.yields() {
			q.yield()
		}
	}
	q.settle()
	return q.losses(), full
}

// dropUntil drops from the front until the queue costs no more than target or has nothing to
// spare.
func (q *Queue) dropUntil(target int64) {
	for q.spare() && q.cost() > target {
		it := q.items.front()
		n := it.messages()
		if n == q.messages || q.cost()-it.cost() < target {
			n = 1
		}
		q.dropFront(n)
	}
}
