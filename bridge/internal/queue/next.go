package queue

import (
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// batch is what the writer of a session wants filled (*zws.Batch).
type batch interface {
	Message(zmtp.Message) error
	Octets([]byte)
	Unsubscribed(topic []byte) error
	Full() bool
}

// next fills b with what waits. The writer calls it after every write until nothing is
// appended, so what the batch before took is written by now and is given back.
func (q *Queue) next(b batch) {
	q.written.release()
	for !b.Full() {
		if q.current.chunk == nil {
			n, some := q.take()
			if !some {
				return
			}
			if n != nil {
				// As with a message, a batch that cannot encode fails the session.
				_ = b.Unsubscribed(n.topic)
				continue
			}
		}
		if q.current.chunk.shared() {
			b.Octets(q.current.chunk.Octets(int(q.current.from), int(q.current.to)))
		} else if !q.encode(b) {
			return
		}
		q.written.push(q.current)
		q.current = item{}
	}
}

// take takes what is first: a notice whose turn it is, or an item, which becomes the
// writer's current one.
func (q *Queue) take() (n *notice, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.o.Ended != nil && q.o.Ended() {
		return nil, false
	}
	if n := q.due(); n != nil {
		return n, true
	}
	if q.items.empty() {
		q.newest = nil
		return nil, false
	}
	q.forget()
	q.current = q.items.pop()
	q.messages -= q.current.messages()
	q.passed += uint64(q.current.messages())
	q.octets -= q.current.octets()
	q.space.Broadcast()
	return nil, true
}

var messages = sync.Pool{New: func() any { return new(zmtp.Message) }}

// encode has b encode the messages of the current item, and tells whether it had room for
// all of them. This is done without the lock, since sealing for CURVE takes time and
// producers must not wait for it.
func (q *Queue) encode(b batch) (all bool) {
	m := messages.Get().(*zmtp.Message)
	it := &q.current
	for it.messages() > 0 && !b.Full() {
		*m = it.chunk.Frames((*m)[:0], int(it.from))
		it.from++
		// A batch that cannot encode fails the session, which closes this queue.
		_ = b.Message(*m)
	}
	clear((*m)[:cap(*m)]) // keep no chunk alive
	messages.Put(m)
	return it.messages() == 0
}
