package backend

import (
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// turns let the streams of a shared ROUTER ask one peer, one stream after the other, since
// without an envelope nothing in an answer shows which stream it is for.
//
// A turn begins with everything that a stream has waiting, and takes its further messages
// while no other stream waits. It ends when each message was answered, with one message each,
// or when the peer was silent for the time-out. What the peer sends otherwise is not an
// answer. All methods are called with core.mu held.
type turns struct {
	p       *peer
	timeout time.Duration
	lines   map[*stream]*line
	next    []*line // with messages, in the order of their turns
	waiting int     // messages in all lines

	holder     *line // whose turn it is; nil if nobody's
	unanswered int   // messages that p was given in this turn
	since      time.Time
	timer      *time.Timer
	armed      bool // timer runs
}

// line is what one stream has waiting for a peer.
type line struct {
	st    *stream // nil for what streams have sent that have left
	msgs  []zmtp.Message
	bytes int64
	now   int // how many of msgs belong to the present turn
	// queued: it is in turns.next.
	queued bool
}

func newTurns(p *peer, timeout time.Duration) *turns {
	return &turns{p: p, timeout: timeout, lines: make(map[*stream]*line)}
}

// offer takes a message of st, unless its line is full.
func (t *turns) offer(st *stream, m zmtp.Message) bool {
	l := t.lines[st]
	if l == nil {
		l = &line{st: st}
		t.lines[st] = l
	}
	return t.put(l, m)
}

// put adds m to a line and gives p what it can take now. It reports false if the line is full.
func (t *turns) put(l *line, m zmtp.Message) bool {
	o := &t.p.core.o
	if n := len(l.msgs); n > 0 && (n >= o.HighWaterMark || l.bytes >= o.HighWaterBytes) || t.p.broken {
		return false
	}
	l.msgs = append(l.msgs, m)
	l.bytes += int64(m.Size())
	t.waiting++
	if l == t.holder && len(t.next) == 0 {
		l.now++
		t.feed()
	} else {
		t.queue(l)
	}
	if t.holder == nil {
		t.begin()
	}
	return true
}

// queue makes l wait for its turn.
func (t *turns) queue(l *line) {
	if !l.queued {
		l.queued = true
		t.next = append(t.next, l)
	}
}

// begin begins the turn of the next line, if there is one.
func (t *turns) begin() {
	t.holder, t.unanswered = nil, 0
	if len(t.next) == 0 {
		return
	}
	t.holder = t.next[0]
	t.next = slices.Delete(t.next, 0, 1)
	t.holder.queued = false
	t.holder.now = len(t.holder.msgs)
	t.since = time.Now()
	t.feed()
	t.arm(t.timeout)
}

// feed gives p the messages of the present turn that it has room for.
func (t *turns) feed() {
	l := t.holder
	n := 0
	for n < l.now && !t.p.full() {
		m := l.msgs[n]
		l.msgs[n] = nil
		l.bytes -= int64(m.Size())
		n++
		t.p.push(item{m: m, st: l.st})
	}
	t.unanswered += n
	t.waiting -= n
	l.now -= n
	if l.msgs = l.msgs[n:]; len(l.msgs) == 0 {
		l.msgs = nil // an idle line keeps no memory
	}
}

// written is called when p has taken something. The peer's time begins then.
func (t *turns) written() {
	if t.holder != nil {
		t.since = time.Now()
		t.feed()
	}
}

// answer is called when p has sent a message. It returns the stream that it answers, nil if
// that has left; ok is false if it is not an answer, as when nothing of the turn was written.
func (t *turns) answer() (st *stream, ok bool) {
	if t.holder == nil || t.unanswered <= len(t.p.queue) {
		return nil, false
	}
	st = t.holder.st
	t.since = time.Now()
	t.unanswered--
	if t.unanswered == 0 && t.holder.now == 0 {
		t.end()
	}
	if st != nil && st.closed {
		st = nil
	}
	return st, true
}

// end ends the present turn and begins the next one.
func (t *turns) end() {
	l := t.holder
	l.now = 0
	if len(l.msgs) > 0 {
		t.queue(l)
	}
	t.begin()
}

// depart is called when st has left. Its messages move to the line of streams that have left,
// so that however many come and go they have one turn together. The present turn stays its
// own until the answers have come or the time is over.
func (t *turns) depart(st *stream) {
	l := t.lines[st]
	if l == nil {
		return
	}
	delete(t.lines, st)
	t.next = slices.DeleteFunc(t.next, func(other *line) bool { return other == l })
	msgs := l.msgs
	l.msgs, l.bytes, l.now = nil, 0, 0
	t.waiting -= len(msgs)
	for _, m := range msgs {
		if !t.offer(nil, m) {
			t.p.core.drop(Overflow)
		}
	}
	if l == t.holder && t.unanswered == 0 {
		t.end()
	}
}

// stop ends all turns because p has left. It returns how many messages it was not given.
func (t *turns) stop() (waiting int) {
	if t.timer != nil {
		t.timer.Stop()
	}
	waiting = t.waiting
	*t = turns{p: t.p, lines: make(map[*stream]*line)}
	return waiting
}

// arm makes expire run after d, unless it is going to run already.
func (t *turns) arm(d time.Duration) {
	if t.armed {
		return
	}
	t.armed = true
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.expire)
		return
	}
	t.timer.Reset(d)
}

// expire ends the present turn if the peer was silent for the time-out. What is not written
// yet is not the peer's silence. It takes the lock.
func (t *turns) expire() {
	t.p.core.mu.Lock()
	defer t.p.core.mu.Unlock()
	if t.armed = false; t.holder == nil {
		return
	}
	if len(t.p.queue)+len(t.p.batch) > 0 {
		t.arm(t.timeout)
		return
	}
	if left := t.timeout - time.Since(t.since); left > 0 {
		t.arm(left)
		return
	}
	t.end()
}
