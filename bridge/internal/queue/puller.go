package queue

import (
	"bytes"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Puller is what the writer takes from elsewhere instead of from the queue, so that it needs no
// memory while it waits: last values, or the part of a history that the client has missed.
type Puller interface {
	// Next appends to b until b is full or nothing is left, and reports whether nothing is. It
	// must not block. Only the client's writer calls it, without any lock.
	Next(b Batch) (done bool)
	// Held returns how many bytes it holds until Next is called again, for Options.Budget. The
	// client's writer calls it.
	Held() int64
}

// Backlog is the history that a queue falls back on (Replay).
type Backlog interface {
	// CatchUp returns what the client has missed: all from Queue.Missing on. Before the Puller is
	// done, it calls Queue.CaughtUp. The client's writer calls CatchUp, without any lock.
	CatchUp() Puller
	// Reached tells the client how far it has everything: the writer, which calls it without any
	// lock after Queue.Refresh, has taken everything. It returns false, to be called again, if
	// something waits by then.
	Reached(b Batch) bool
}

// History is the part of a Batch that only pullers use.
type History interface {
	// Replayed encodes and appends m, which is not kept, with its position and its time. An
	// error ends the stream.
	Replayed(m zmtp.Message, at []byte, t time.Time) error
	// Resumed and Live tell a client that asked for it that messages from the history follow, and
	// that what follows is live. An error ends the stream.
	Resumed(at []byte, recovered, gap bool) error
	Live(at []byte) error
}

// SetBacklog sets Options.Backlog, before anything is put.
func (q *Queue) SetBacklog(b Backlog) {
	q.mu.Lock()
	q.logged().backlog = b
	q.mu.Unlock()
}

func (q *Queue) backlog() Backlog {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.logged().backlog
}

// Insert queues p at the end: the writer takes it after the messages that wait now, and before
// those that are put later. It counts towards Options.Notifications and returns what
// Unsubscribed returns.
func (q *Queue) Insert(p Puller) error { return q.note(insert{puller: p}) }

// FallBehind makes the queue take nothing until it has caught up from Options.Backlog, as if it
// were full (Replay). It is for a client that resumes, before anything is put. The writer is not
// woken: the caller does so when it holds no locks that the Backlog needs.
func (q *Queue) FallBehind() {
	q.mu.Lock()
	q.behind = true
	q.mu.Unlock()
}

// Refresh has the writer call Backlog.Reached as soon as nothing waits.
func (q *Queue) Refresh() {
	q.mu.Lock()
	q.refresh = true
	q.mu.Unlock()
	q.owner.Wake()
}

// Idle reports whether nothing waits, and nothing that was put is lost with the queue's end.
func (q *Queue) Idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items.empty() && len(q.inserts) == 0 && !q.behind && !q.closed
}

// Behind reports whether the queue takes nothing until it has caught up.
func (q *Queue) Behind() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.behind
}

// pulls reports whether a writer takes from elsewhere.
func (q *Queue) pulls() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.behind || len(q.inserts) > 0
}

// CaughtUp makes the queue take messages again. Those that follow the ones of the Puller are put
// afterwards. It returns what Skipped does.
func (q *Queue) CaughtUp() (skipped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.logged()
	skipped = l.skipped
	q.behind, l.skipped, l.missing = false, 0, l.missing[:0]
	return skipped
}

// Skipped returns how many messages that the backlog had were not put since the queue has fallen
// behind.
func (q *Queue) Skipped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.logged().skipped
}

// Lose counts n messages as dropped, which the backlog has dropped before the writer has taken them,
// and reports them to the owner, unless the queue is closed.
func (q *Queue) Lose(n uint64) {
	q.mu.Lock()
	if q.closed {
		n = 0
	}
	q.dropped += n
	q.reported += n
	q.mu.Unlock()
	if n > 0 {
		q.owner.Lost(n)
	}
}

// Missing returns the position of the first message that was not put since the queue has fallen
// behind; nil if there is none. The result is valid until the next put or CaughtUp.
func (q *Queue) Missing() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.logged(); len(l.missing) > 0 {
		return l.missing
	}
	return nil
}

// fallBehind queues what fits of it and leaves the rest to the backlog. Messages without a
// position are not in there: they are dropped. Lock held on entry.
func (q *Queue) fallBehind(it item) {
	part := it
	part.to = part.from + int32(q.claim(it))
	q.push(part)
	if it.from = part.to; it.messages() > 0 {
		q.behind = true
		q.skip(it)
	}
}

// yields reports whether what waits can be left to the backlog: not while a puller has its place
// between the messages. Lock held on entry, as in yield.
func (q *Queue) yields() bool {
	return q.o.OnFull == Replay && q.log != nil && q.log.backlog != nil && !q.closed &&
		!slices.ContainsFunc(q.inserts, func(n insert) bool { return n.puller != nil })
}

// yieldGaps leaves the notifications of gaps to the backlog as well, which has to be read from
// before the first of them. Lock held on entry.
func (q *Queue) yieldGaps() {
	l := q.logged()
	q.inserts = slices.DeleteFunc(q.inserts, func(n insert) bool {
		if n.gap != nil && (len(l.missing) == 0 || bytes.Compare(n.gap[positionOrder:], l.missing[positionOrder:]) < 0) {
			l.missing = append(l.missing[:0], n.gap...)
		}
		if n.gap != nil {
			q.noted -= n.cost()
		}
		return n.gap != nil
	})
}

// positionOrder is where the bytes of a position begin that order the positions of a log
// (history.Position).
const positionOrder = 8

// yield leaves what waits to the backlog, as if the queue had been full before it. Messages without
// a position are dropped.
func (q *Queue) yield() {
	q.behind = true
	q.logged().missing = q.logged().missing[:0] // of later ones
	for !q.items.empty() {
		it := q.items.pop()
		q.passed += uint64(it.messages())
		q.skip(it)
		it.chunk.Release()
	}
	q.messages, q.bytes = 0, 0
	q.yieldGaps()
	q.forget()
}

// Holds reports whether the queue has fallen behind, and whether it holds messages, or notifications
// of gaps, that it can still leave to the backlog.
func (q *Queue) Holds() (behind, messages bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.behind, q.o.Budget != nil && q.o.OnFull == Replay && (!q.items.empty() || len(q.inserts) > 0)
}

// skip counts the messages of it that the backlog will not have, and notes the first that it will.
// Lock held on entry.
func (q *Queue) skip(it item) {
	for i := it.from; i < it.to; i++ {
		at := it.chunk.At(int(i))
		if at == nil {
			q.dropped++
			continue
		}
		l := q.logged()
		l.skipped++
		if len(l.missing) == 0 {
			l.missing = append(l.missing, at...)
		}
	}
}

// Given appends the position of the last message with one that was given to a batch to dst; nothing
// before there is one.
func (q *Queue) Given(dst []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.log == nil {
		return dst
	}
	return append(dst, q.log.given...)
}

// give notes that the writer was given what ends at that position.
func (q *Queue) give(at []byte) {
	if at == nil {
		return
	}
	q.mu.Lock()
	l := q.logged()
	l.given = append(l.given[:0], at...) // the chunk is used again after it was written
	q.mu.Unlock()
}
