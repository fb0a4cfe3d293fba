package queue

import (
	"runtime"
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Batch collects what goes into one write to the client (*zws.Batch).
type Batch interface {
	// Message encodes m for this client alone and appends it. at is its position in the
	// route's history; nil if it has none. An error ends the stream.
	Message(m zmtp.Message, at []byte) error
	// Encoded appends whole messages that the queue's Codec has encoded.
	Encoded(p []byte)
	// Unsubscribed appends the notification that the subscription to topic is gone. An
	// error ends the stream.
	Unsubscribed(topic []byte) error
	// Full reports that no more should be appended.
	Full() bool
	History
}

// Next appends what waits to b until b is full or nothing is left. Only the client's writer
// calls it. What it has given stays unchanged until the next call, so the writer calls it
// after each write until nothing is appended.
func (q *Queue) Next(b Batch) {
	if q.writing == nil {
		q.writing = writings.Get().(*writing)
	}
	q.next(b)
	if q.writing.idle() {
		writings.Put(q.writing)
		q.writing = nil
	}
}

func (q *Queue) next(b Batch) {
	q.release()
	for !b.Full() {
		if q.pulling != nil {
			if done := pull(q.pulling, b); !done {
				q.hold(q.pulling.Held())
				return
			}
			q.pulling = nil
			q.hold(0)
			continue
		}
		if q.current.chunk == nil {
			n, some := q.take()
			switch {
			case !some:
				return
			case n == nil:
			case n == &backlog:
				q.pulling = q.backlog().CatchUp()
				continue
			case n == &reached:
				if !q.backlog().Reached(b) {
					q.again()
				}
				continue
			case n.gap != nil:
				if b.Resumed(n.gap, true, true) == nil {
					_ = b.Live(n.gap) // an error ends the stream
				}
				continue
			case n.puller != nil:
				q.pulling = n.puller
				continue
			default:
				_ = b.Unsubscribed(n.topic) // an error ends the stream, which closes q
				continue
			}
		}
		if q.current.chunk.shared() {
			b.Encoded(q.current.chunk.Bytes(int(q.current.from), int(q.current.to)))
			q.give(q.current.at())
		} else if !q.encode(b) {
			return
		}
		q.written.push(q.current)
		q.current = item{}
	}
}

// pullers holds a place for each puller that works: on half of the processors, so that the other
// half is there for live messages. Writers beyond that wait here instead of in the scheduler's
// queue, where a thousand clients that resume would each work for a millisecond before a writer
// with a live message has its turn.
var pullers = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

func pull(p Puller, b Batch) (done bool) {
	pullers <- struct{}{}
	defer func() { <-pullers }()
	return p.Next(b)
}

// hold has the budget count n bytes for the puller that is not done.
func (q *Queue) hold(n int64) {
	if q.o.Budget == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pulled != n && !q.closed {
		q.pulled = n
		q.settle()
	}
}

// release lets go of what was written.
func (q *Queue) release() {
	if q.written.empty() {
		return
	}
	q.written.release()
	if q.o.Budget == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.taken = 0; q.current.chunk != nil && !q.closed {
		q.taken = q.current.cost()
	}
	q.settle()
}

// take removes what is first: an insert that is due, or else an item, which becomes q.current. An
// empty insert is backlog or reached. some reports whether there was any.
func (q *Queue) take() (n *insert, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.owner.Ended() {
		return nil, false
	}
	if n := q.due(); n != nil {
		q.settle()
		return n, true
	}
	if q.items.empty() {
		q.newest = nil
		switch {
		case q.closed:
		case q.behind:
			return &backlog, true
		case q.refresh:
			q.refresh = false
			return &reached, true
		}
		return nil, false
	}
	q.forget()
	q.current = q.items.pop()
	q.messages -= q.current.messages()
	if q.current.kept {
		q.kept -= q.current.messages()
		q.keptBytes -= q.current.bytes()
	}
	q.passed += uint64(q.current.messages())
	q.bytes -= q.current.bytes()
	q.freed()
	if q.o.Budget != nil {
		q.taken += q.current.cost()
		q.settle()
	}
	return nil, true
}

// backlog is the insert for what a queue that has fallen behind has missed, reached the one that
// Refresh asks for.
var backlog, reached insert

// again has Backlog.Reached called again.
func (q *Queue) again() {
	q.mu.Lock()
	q.refresh = true
	q.mu.Unlock()
}

var messages = sync.Pool{New: func() any { return new(zmtp.Message) }}

// encode lets b encode the messages of the current item and reports whether b had room for
// all of them. The queue is not locked, since sealing for CURVE takes time and producers
// must not wait for it.
func (q *Queue) encode(b Batch) (all bool) {
	m := messages.Get().(*zmtp.Message)
	it := &q.current
	first := it.from
	for it.messages() > 0 && !b.Full() {
		*m = it.chunk.Frames((*m)[:0], int(it.from))
		_ = b.Message(*m, it.chunk.At(int(it.from))) // an error ends the stream, which closes q
		it.from++
	}
	q.give((&item{chunk: it.chunk, from: first, to: it.from}).at())
	clear((*m)[:cap(*m)]) // the pool must not keep a chunk alive
	messages.Put(m)
	return it.messages() == 0
}
