package fanout

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
)

// catchUp reads the log for a member whose queue takes nothing, up to the moment from which the
// queue takes live messages again. The part before each step of the member is read without the
// subscriptions made there and later; the last values that the step asks for follow it.
type catchUp struct {
	reading
	at       history.Position
	reader   *history.Reader
	snapshot *history.Snapshot // that is read instead of the reader
	cut      bool              // the reader ends at end, where a step of the member was
	end      history.Position
	last     bool             // the reader ends where the live messages begin
	greet    bool             // the client is to be told what was recovered
	answered history.Position // the client was told of the gaps up to there when it resumed
	losses
}

// losses are what the log has dropped before a member that has fallen behind could read it. The
// queue counts what it has not taken, so what is not replayed of that is lost. Of a member that
// resumes, nobody has counted what it has missed.
type losses struct {
	counted  bool   // the member has not resumed
	dropped  uint64 // records of the log, of any topic
	replayed uint64 // messages given from the log
	skipped  uint64 // messages that the queue has not taken, once the last part is read
	reported uint64
}

// lose reports what is known to be lost, where left messages can still be replayed.
func (l *losses) lose(q Queue, skipped, left uint64) {
	lost := min(l.dropped, skipped-min(skipped, l.replayed+left))
	if l.counted && lost > l.reported {
		q.Lose(lost - l.reported)
		l.reported = lost
	}
}

// Next implements queue.Puller.
func (c *catchUp) Next(b queue.Batch) (done bool) {
	c.resume()
	for c.give(b) {
		if c.snapshot == nil {
			c.replayed += c.given
		}
		c.given = 0
		entries, more := c.read(b)
		if c.took(entries); len(entries) > 0 || more {
			continue
		}
		if !c.advance() {
			c.lose(c.member.queue, c.skipped, 0)
			if c.told {
				at, _ := c.at.AppendBinary(nil)
				_ = b.Live(at) // an error ends the stream
			}
			return true
		}
	}
	return false
}

// read reads the next entries.
func (c *catchUp) read(b queue.Batch) (entries []history.Entry, more bool) {
	if c.snapshot != nil {
		return c.snapshot.Next(c.entries[:0], stepBytes)
	}
	if c.reader == nil {
		resumed := c.begin()
		switch {
		case c.greet:
			c.greet = false
			c.resumed(b, c.reader.Position(), resumed)
			if f := c.member.hub.resumed; f != nil {
				f(resumed)
			}
		case c.at.Sequence < c.reader.Position().Sequence: // dropped before the reader began
			c.lost(b, c.reader.Position().Sequence-c.at.Sequence, 0)
		}
	}
	entries, more = c.reader.Next(c.entries[:0], stepBytes)
	if n := c.reader.Lost(); n > 0 {
		c.lost(b, n, len(entries))
	}
	return entries, more
}

// lost tells the client that up to n messages are missing. read is how many were read and not given.
func (c *catchUp) lost(b queue.Batch, n uint64, read int) {
	c.resumed(b, c.reader.Position(), history.Resumed{})
	c.dropped += n
	if !c.last {
		left := c.member.hub.log.End().Sequence - c.reader.Position().Sequence
		c.lose(c.member.queue, c.member.queue.Skipped(), left+uint64(read))
	}
}

// took makes entries what is given next. A reader whose end was not known can have read beyond a
// step: that is left to the next one, which has the step's subscription as well.
func (c *catchUp) took(entries []history.Entry) {
	m := c.member
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	if m.group != nil && c.snapshot == nil && !c.cut && !c.last && len(m.steps) > 0 {
		c.cutAt(m.steps[0].cut)
		beyond := func(e history.Entry) bool { return e.After.Sequence > c.end.Sequence }
		entries = slices.DeleteFunc(entries, beyond)
	}
	c.reading.took(entries)
}

// cutAt ends the reader at cut.
func (c *catchUp) cutAt(cut history.Position) {
	c.reader.Cut(cut)
	c.cut, c.end = true, cut
}

// begin makes the reader of the part that follows c.at.
func (c *catchUp) begin() history.Resumed {
	m, h := c.member, c.member.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	var resumed history.Resumed
	if m.group == nil { // it has left: nothing will be written
		c.reader, resumed = h.log.Resume(c.at, history.NewMatch(nil, nil))
		return resumed
	}
	c.reader, resumed = h.log.Resume(c.at, m.match())
	if c.greet {
		c.answered = h.log.End()
	}
	c.reader.TellGaps(c.answered)
	if len(m.steps) > 0 {
		c.cutAt(m.steps[0].cut)
	}
	return resumed
}

// advance goes to the next part when one was read to its end, and reports whether there is one.
// The last part ends where the log does; from there on the queue takes what is delivered.
func (c *catchUp) advance() bool {
	m, h := c.member, c.member.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case m.group == nil: // it has left: there is nothing to catch up with
		m.queue.CaughtUp()
		return false
	case c.snapshot != nil:
		c.snapshot, c.reader = nil, nil
	case c.last:
		c.at = c.reader.Position()
		return false
	case c.cut:
		c.at, c.cut, c.reader = c.end, false, nil
		if len(m.steps) == 0 || m.steps[0].cut.Sequence > c.end.Sequence {
			break // the step is gone: unsubscribed
		}
		s := m.steps[0]
		m.steps = slices.Delete(m.steps, 0, 1)
		if m.matches = nil; !s.added {
			c.snapshot = h.log.Last(history.NewMatch([][]byte{s.topic}, nil), s.cut)
		}
	case len(m.steps) > 0: // subscribed while the reader was on its way
		c.cutAt(m.steps[0].cut)
	default:
		c.last = true
		h.seam(c)
	}
	return true
}

// rejoin ends the reader where the live messages begin: everything before its cut was delivered
// while the queue took nothing, everything after it is put into the queue. Lock held on entry.
func (c *catchUp) rejoin() {
	h := c.member.hub
	h.deliver()
	end := h.log.End()
	c.reader.Cut(end)
	c.skipped = c.member.queue.CaughtUp()
	if c.told {
		c.member.told = end
	}
}
