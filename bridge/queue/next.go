package queue

import (
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// batch is what the writer of a session wants filled (*zws.Batch).
type batch interface {
	Message(zmtp.Message) error
	Octets([]byte)
	Full() bool
}

// next fills b with what waits. The octets that the batch before it took were written by
// now and are given back.
func (q *Queue) next(b batch) {
	q.written.release()
	for !b.Full() {
		if q.current.chunk == nil && !q.take() {
			return
		}
		if q.current.chunk.shared() {
			q.give(b)
		} else {
			q.encode(b)
		}
	}
}

// take makes the first item the writer's.
func (q *Queue) take() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items.empty() {
		q.newest = nil
		return false
	}
	q.forget()
	q.current = q.items.pop()
	q.messages -= q.current.messages()
	q.octets -= q.current.octets()
	q.space.Broadcast()
	return true
}

// give hands b the octets of the current item, which stay untouched until the next call
// of next.
func (q *Queue) give(b batch) {
	it := q.current
	b.Octets(it.chunk.slice(int(it.from), int(it.to)))
	q.written.push(it)
	q.current = item{}
}

var messages = sync.Pool{New: func() any { return new(zmtp.Message) }}

// encode has b encode the messages of the current item while it has room. This is done
// without the lock, since sealing for CURVE takes time and producers must not wait for it.
func (q *Queue) encode(b batch) {
	m := messages.Get().(*zmtp.Message)
	it := &q.current
	for ; it.messages() > 0 && !b.Full(); it.from++ {
		*m = it.chunk.message((*m)[:0], int(it.from))
		// A batch that cannot encode fails the session, which closes this queue.
		_ = b.Message(*m)
	}
	clear(*m)
	messages.Put(m)
	if it.messages() == 0 {
		it.chunk.Release()
		q.current = item{}
	}
}

// lost is how many messages were dropped since it was last asked.
func (q *Queue) lost() uint64 {
	dropped := q.Dropped()
	n := dropped - q.told
	q.told = dropped
	return n
}
