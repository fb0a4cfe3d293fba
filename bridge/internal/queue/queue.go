package queue

import (
	"errors"
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var (
	// ErrClosed reports that the queue is closed. What was put is dropped and not counted.
	ErrClosed = errors.New("the client's queue is closed")
	// ErrFull reports that the queue was full and its policy is Disconnect, or that too many
	// notifications waited. The queue is closed now.
	ErrFull = errors.New("the client was too slow: its queue is full")
)

// The default limits of a queue.
const (
	DefaultMessages      = 1000
	DefaultBytes         = 4 << 20
	DefaultNotifications = 1000
)

// Options configure a queue.
type Options struct {
	// Messages and Bytes limit what waits (high_water_mark, high_water_bytes). What the
	// writer has taken does not count, and an empty queue takes one message of any size. 0
	// means DefaultMessages and DefaultBytes.
	Messages int
	Bytes    int64
	// Notifications limits the notifications that wait (Queue.Unsubscribed). 0 means
	// DefaultNotifications.
	Notifications int
	// OnFull is what happens at a limit.
	OnFull Policy
	// KeptBytes limits the messages of PutKept instead of Messages and Bytes: they do not wait
	// for room, and at the limit, or that of Budget, the queue closes itself, as with
	// Disconnect. 0 means that they wait.
	KeptBytes int64
	// Backlog is where the client catches up from. Required for Replay, and for FallBehind.
	Backlog Backlog
	// Codec is the client's encoding, if other clients share it; nil if the client needs
	// messages that are encoded for it alone.
	Codec Codec
	// Budget limits the queue together with the others of its connection; nil for none. A put
	// can then drop messages of the others, or close them.
	Budget *Budget
}

// Owner is the stream whose client the queue is written to. Its methods are called from any
// goroutine and must not block.
type Owner interface {
	// Ended reports whether nothing more may be given to the writer. It is called with the
	// queue locked, so that nothing is given that was put after the end. It must not call
	// the queue.
	Ended() bool
	// Wake starts the writer: something was put into an empty queue.
	Wake()
	// Announce and Write together are Wake, except that Write writes as much as the client's
	// system takes at once. Between them the caller announces to others, so that streams of one
	// connection share a write. Write is called without a lock.
	Announce()
	Write()
	// Lost reports n messages that the queue has dropped since the last call.
	Lost(n uint64)
	// Missed reports n messages that were lost before they could be put.
	Missed(n uint64)
	// Overflow reports, once, that the queue has closed itself: it was full (Disconnect), or
	// too many notifications waited.
	Overflow()
}

// Queue is what waits to be written to one client. Any number of goroutines may put into
// it; one at a time may call Next.
type Queue struct {
	o     settings
	owner Owner
	share

	mu        sync.Mutex
	space     *sync.Cond // a blocked producer should try again; nil if there was none
	items     fifo
	messages  int
	kept      int // of messages, by PutKept
	keptBytes int64
	bytes     int64
	pulled    int64 // what a puller holds that is not done
	taken     int64 // what the writer has taken and not finished costs in a budget
	noted     int64 // what inserts cost in a budget
	dropped   uint64
	reported  uint64 // of dropped: that the owner was told of
	passed    uint64 // messages that have left at the front: taken by the writer or dropped
	inserts   []insert
	behind    bool    // nothing is put until the writer has caught up
	refresh   bool    // Backlog.Reached is to be called once nothing waits
	log       *logged // nil until the queue has to do with a history; see logged
	closed    bool
	newest    map[uint64]*item // while conflating: where the message of each topic waits

	// Owned by the writer, not guarded by mu. Nil while nothing is written.
	*writing
}

// New returns an empty queue that reports to owner, which must not be nil.
func New(o Options, owner Owner) *Queue {
	if o.Messages == 0 {
		o.Messages = DefaultMessages
	}
	if o.Bytes == 0 {
		o.Bytes = DefaultBytes
	}
	if o.Notifications == 0 {
		o.Notifications = DefaultNotifications
	}
	q := &Queue{o: settings{o.limits(), o.Codec, o.Budget}, owner: owner}
	if o.Backlog != nil {
		q.SetBacklog(o.Backlog)
	}
	if o.Budget != nil {
		o.Budget.join(q)
	}
	return q
}

// Put encodes m, which is not kept, and queues it. It returns ErrClosed, ErrFull or nil; a
// message that the policy drops is not an error. With Block it waits for room or Close.
func (q *Queue) Put(m zmtp.Message) error {
	c := NewChunk(q.o.Codec, encodedSize(m))
	defer c.Release()
	c.Append(m)
	return q.PutChunk(c)
}

// PutChunk queues all messages of c, as PutRange does.
func (q *Queue) PutChunk(c *Chunk) error { return q.PutRange(c, 0, c.Messages()) }

// PutRange queues the messages from, from+1, … to-1 of c, which must have the queue's Codec.
// The queue takes a reference of its own. It returns what Put returns.
func (q *Queue) PutRange(c *Chunk, from, to int) error {
	return q.putItem(item{chunk: c, from: int32(from), to: int32(to)}, q.put)
}

// AddRange is PutRange, but the owner's Announce is called instead of its Wake. If write is true, the
// caller calls Write as soon as it holds no locks. It is not for Block, where a put waits for a writer
// that was woken before.
func (q *Queue) AddRange(c *Chunk, from, to int) (write bool, err error) {
	write, err = q.add(item{chunk: c, from: int32(from), to: int32(to)}, q.put)
	if write && !q.pulls() {
		q.owner.Announce()
	}
	return write, err
}

// Write writes what AddRange has queued, as far as the client's system takes it at once. What a
// writer takes from elsewhere is left to another goroutine: that can be much.
func (q *Queue) Write() {
	if q.pulls() {
		q.owner.Wake()
	} else {
		q.owner.Write()
	}
}

// putItem queues it with put, which is called with the lock held, and wakes the owner.
func (q *Queue) putItem(it item, put func(item) (wake bool, err error)) error {
	wake, err := q.add(it, put)
	if wake {
		q.owner.Wake()
	}
	return err
}

// add is putItem without waking the owner.
func (q *Queue) add(it item, put func(item) (wake bool, err error)) (wake bool, err error) {
	if it.messages() == 0 {
		return false, nil
	}
	q.mu.Lock()
	wake, err = put(it)
	lost := q.losses()
	q.settle()
	q.mu.Unlock()
	if lost > 0 {
		q.owner.Lost(lost)
	}
	if err == ErrFull {
		q.owner.Overflow()
	}
	if b := q.o.Budget; err == nil && b != nil && !b.fits(0) && b.relieve(q, 0) {
		return wake, ErrFull
	}
	return wake, err
}

// losses returns how many messages were dropped since the last call, for Owner.Lost. Lock
// held on entry.
func (q *Queue) losses() uint64 {
	n := q.dropped - q.reported
	q.reported = q.dropped
	return n
}

// put queues it as the policy says. wake reports that the queue was empty and is not now.
// Lock held on entry and on return; DropNewest and Block can unlock it in between.
func (q *Queue) put(it item) (wake bool, err error) {
	if q.closed {
		return false, ErrClosed
	}
	if q.behind {
		q.skip(it)
		return false, nil
	}
	wake = q.items.empty()
	policy := q.policy()
	if q.newest == nil && q.fits(it) && (q.o.Budget == nil || policy.sheds()) {
		q.push(it)
		return wake, nil
	}
	switch policy {
	case Conflate:
		q.conflate(it)
	case DropNewest:
		return q.dropNewest(it)
	case Disconnect:
		q.close()
		return false, ErrFull
	case Block:
		return q.wait(it)
	case Replay:
		q.fallBehind(it)
	default:
		q.push(it)
		q.dropOldest()
	}
	return wake && !q.items.empty(), nil
}

// wait queues the parts of it as there is room (Block), while the policy is that. Lock held on entry and on return.
func (q *Queue) wait(it item) (wake bool, err error) {
	for relieved := false; !q.closed; {
		if !q.blocks(it) { // SetBounds has changed the policy
			return q.put(it)
		}
		if !relieved && q.cramped(it) {
			q.relieve(it)
			relieved = true
			continue
		}
		if n := q.claim(it); n > 0 {
			part := it
			part.to = part.from + int32(n)
			it.from = part.to
			wake = q.items.empty()
			q.push(part)
		}
		switch {
		case it.messages() == 0:
			return wake, nil
		case wake:
			// Wake the writer before waiting for it.
			q.settle()
			q.mu.Unlock()
			q.owner.Wake()
			q.mu.Lock()
			wake = false
		case q.room(it) > 0: // it is the budget that has none
			q.await(it)
			relieved = false
		default:
			if q.space == nil {
				q.space = sync.NewCond(&q.mu)
			}
			q.space.Wait()
			relieved = false
		}
	}
	return false, ErrClosed
}

// fits reports whether the limits leave room for all messages of it.
func (q *Queue) fits(it item) bool {
	if q.messages == 0 && it.messages() == 1 {
		return true
	}
	return q.messages+it.messages() <= q.o.Messages && q.bytes+it.bytes() <= q.o.Bytes
}

// room returns how many messages of it, from its first, fit.
func (q *Queue) room(it item) int {
	part := item{chunk: it.chunk, from: it.from, to: it.from + 1}
	for part.to <= it.to && q.fits(part) {
		part.to++
	}
	return part.messages() - 1
}

// push appends it and takes a reference to its chunk.
func (q *Queue) push(it item) *item {
	if it.messages() == 0 {
		return nil
	}
	it.chunk.retain()
	q.messages += it.messages()
	q.bytes += it.bytes()
	if it.kept {
		q.kept += it.messages()
		q.keptBytes += it.bytes()
	}
	return q.items.push(it)
}

// dropNewest queues each message of it that fits, and drops the others. Lock held on entry and
// on return; it is unlocked while fuller queues of the budget make room.
func (q *Queue) dropNewest(it item) (wake bool, err error) {
	if q.cramped(it) {
		q.relieve(it)
	}
	if q.closed {
		return false, ErrClosed
	}
	wake = q.items.empty()
	for it.messages() > 0 {
		part := it
		part.to = part.from + int32(q.claim(it))
		q.push(part)
		if it.from = part.to; it.messages() > 0 {
			it.from++
			q.dropped++
		}
	}
	return wake && !q.items.empty(), nil
}

// dropOldest drops from the front until the limits hold or one message is left.
func (q *Queue) dropOldest() {
	for q.messages > 1 && (q.messages > q.o.Messages || q.bytes > q.o.Bytes) {
		n := q.items.front().messages()
		if q.messages-n < q.o.Messages {
			n = 1
		}
		q.dropFront(n)
	}
}

// dropFront drops the first n messages of the first item.
func (q *Queue) dropFront(n int) {
	q.forget()
	it := q.items.front()
	part := item{chunk: it.chunk, from: it.from, to: it.from + int32(n)}
	q.dropped += uint64(n)
	q.passed += uint64(n)
	q.messages -= n
	q.bytes -= part.bytes()
	it.from = part.to
	if it.messages() == 0 {
		q.items.pop()
		part.chunk.Release()
	}
}

// Close drops what waits, returns how many messages that were, and wakes blocked producers.
// What the writer has taken stays valid, and no budget counts it any more. It may be called
// more than once; later calls return 0.
func (q *Queue) Close() (dropped int) {
	q.mu.Lock()
	dropped = q.messages
	q.close()
	q.mu.Unlock()
	if q.o.Budget != nil {
		q.o.Budget.leave(q)
	}
	return dropped
}

// freed has blocked producers try again. Lock held on entry.
func (q *Queue) freed() {
	if q.space != nil {
		q.space.Broadcast()
	}
}

// close implements Close. Lock held on entry.
func (q *Queue) close() {
	if q.closed {
		return
	}
	q.closed = true
	q.items.release()
	q.messages, q.kept, q.bytes, q.keptBytes, q.taken, q.pulled, q.noted = 0, 0, 0, 0, 0, 0, 0
	q.newest, q.inserts = nil, nil
	q.settle()
	q.freed()
}
