package queue

import (
	"errors"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var (
	// ErrClosed: the queue was closed; what was put is dropped without being counted.
	ErrClosed = errors.New("the client's queue is closed")
	// ErrFull: the queue was full and its policy is Disconnect, or too many notices waited.
	// It is closed now.
	ErrFull = errors.New("the client was too slow: its queue is full")
)

// The bounds of a queue whose Options do not name others.
const (
	DefaultMessages = 1000
	DefaultOctets   = 4 << 20
)

// Options are a queue's bounds and whom it tells what.
type Options struct {
	// Messages and Octets bound what waits (high_water_mark, high_water_bytes); what the
	// writer has taken does not count. 0 means DefaultMessages and DefaultOctets. One
	// message always finds room in an empty queue, however long it is.
	Messages int
	Octets   int64
	// Notices bounds the notices that wait (Queue.Unsubscribed). 0 means DefaultNotices.
	Notices int
	// OnFull is what happens at a bound.
	OnFull Policy
	// Codec is how the channel encodes (zws.Channel.Codec); nil where no other session
	// shares its encoding.
	Codec Codec
	// Ended, if not nil, tells that nothing more may be given to the writer. It is asked under
	// the queue's lock, so that what is put later than the end is not given either; it must
	// be quick and must not call the queue.
	Ended func() bool
	// Wake is called, without a lock, after something was put into an empty queue. It
	// must not block. Nil: nobody is told.
	Wake func()
	// Lost is called, without a lock, after messages were dropped, with their number since
	// the call before (the LOST notice). It must not block. Nil: nobody is told.
	Lost func(n uint64)
	// Overflow is called once, without a lock, when the queue has closed itself: full
	// (Disconnect), or with too many notices. It must not block. Nil: nobody is told.
	Overflow func()
}

// Queue is what waits to be written to one client. Any number of goroutines may put,
// one at a time may call Next.
type Queue struct {
	o Options

	mu       sync.Mutex
	space    sync.Cond // a blocked producer may try again
	items    fifo
	messages int
	octets   int64
	dropped  uint64
	passed   uint64 // messages that have left at the front: to the writer, or dropped
	notices  []notice
	closed   bool
	newest   map[uint64]*item // while conflating: where each topic's message waits

	// The writer's, without the lock:
	current item // taken, and not yet all given to a batch
	written fifo // given to the batch that is being written
}

// New returns an empty queue.
func New(o Options) *Queue {
	if o.Messages == 0 {
		o.Messages = DefaultMessages
	}
	if o.Octets == 0 {
		o.Octets = DefaultOctets
	}
	if o.Notices == 0 {
		o.Notices = DefaultNotices
	}
	q := &Queue{o: o}
	q.space.L = &q.mu
	return q
}

// Put encodes m, which is not kept, and queues it. It returns ErrClosed, ErrFull, or nil,
// also where the policy dropped a message. With Block it waits for room or Close.
func (q *Queue) Put(m zmtp.Message) error {
	c := NewChunk(q.o.Codec, encodedSize(m))
	defer c.Release()
	c.Append(m)
	return q.PutChunk(c)
}

// PutChunk queues all messages of c, as PutRange does.
func (q *Queue) PutChunk(c *Chunk) error { return q.PutRange(c, 0, c.Messages()) }

// PutRange queues the messages from, from+1, … to-1 of c, which must be made with the
// queue's Codec. The queue adds its own reference. Results as of Put.
func (q *Queue) PutRange(c *Chunk, from, to int) error {
	if from >= to {
		return nil
	}
	q.mu.Lock()
	before := q.dropped
	wake, err := q.put(item{c, int32(from), int32(to)})
	lost := q.dropped - before
	q.mu.Unlock()
	if lost > 0 && q.o.Lost != nil {
		q.o.Lost(lost)
	}
	if wake && q.o.Wake != nil {
		q.o.Wake()
	}
	if err == ErrFull && q.o.Overflow != nil {
		q.o.Overflow()
	}
	return err
}

// put queues it as the policy says. Lock held on entry and on return; Block gives it up
// between. wake tells that the queue was empty and is not now.
func (q *Queue) put(it item) (wake bool, err error) {
	if q.closed {
		return false, ErrClosed
	}
	wake = q.items.empty()
	if q.newest == nil && q.fits(it) {
		q.push(it)
		return wake, nil
	}
	switch q.o.OnFull {
	case Conflate:
		q.conflate(it)
	case DropNewest:
		q.dropNewest(it)
	case Disconnect:
		q.close()
		return false, ErrFull
	case Block:
		return q.wait(it)
	default:
		q.push(it)
		q.dropOldest()
	}
	return wake && !q.items.empty(), nil
}

// wait puts it in parts as room comes (Block).
func (q *Queue) wait(it item) (wake bool, err error) {
	for !q.closed {
		n := q.room(it)
		if n > 0 {
			part := it
			part.to = part.from + int32(n)
			it.from = part.to
			wake = q.items.empty()
			q.push(part)
		}
		if it.messages() == 0 {
			return wake, nil
		}
		if wake && q.o.Wake != nil {
			// The writer has to know before this goroutine waits for it.
			q.mu.Unlock()
			q.o.Wake()
			q.mu.Lock()
			wake = false
			continue
		}
		q.space.Wait()
	}
	return false, ErrClosed
}

// fits tells whether the bounds leave room for all messages of it.
func (q *Queue) fits(it item) bool {
	if q.messages == 0 && it.messages() == 1 {
		return true
	}
	return q.messages+it.messages() <= q.o.Messages && q.octets+it.octets() <= q.o.Octets
}

// room is how many messages of it, from its first, fit.
func (q *Queue) room(it item) int {
	part := item{it.chunk, it.from, it.from + 1}
	for part.to <= it.to && q.fits(part) {
		part.to++
	}
	return part.messages() - 1
}

// push appends it, with a reference of its own.
func (q *Queue) push(it item) *item {
	if it.messages() == 0 {
		return nil
	}
	it.chunk.retain()
	q.messages += it.messages()
	q.octets += it.octets()
	return q.items.push(it)
}

// dropNewest queues every message of it that fits where those before it are queued.
func (q *Queue) dropNewest(it item) {
	for it.messages() > 0 {
		part := it
		part.to = part.from + int32(q.room(it))
		q.push(part)
		if it.from = part.to; it.messages() > 0 {
			it.from++
			q.dropped++
		}
	}
}

// dropOldest drops from the front until the bounds hold or one message is left.
func (q *Queue) dropOldest() {
	for q.messages > 1 && (q.messages > q.o.Messages || q.octets > q.o.Octets) {
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
	part := item{it.chunk, it.from, it.from + int32(n)}
	q.dropped += uint64(n)
	q.passed += uint64(n)
	q.messages -= n
	q.octets -= part.octets()
	it.from = part.to
	if it.messages() == 0 {
		q.items.pop()
		part.chunk.Release()
	}
}

// Close drops what waits and wakes blocked producers. What the writer has taken stays
// good. It may be called at any time, and again.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.close()
}

// close: lock held.
func (q *Queue) close() {
	if q.closed {
		return
	}
	q.closed = true
	q.items.release()
	q.messages, q.octets, q.newest, q.notices = 0, 0, nil, nil
	q.space.Broadcast()
}

// Len is what waits now.
func (q *Queue) Len() (messages int, octets int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.messages, q.octets
}

// Lag is how long the message at the front has waited; 0 if none waits.
func (q *Queue) Lag() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items.empty() {
		return 0
	}
	return time.Since(q.items.front().chunk.made)
}

// Dropped is how many messages the policy has dropped so far.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
