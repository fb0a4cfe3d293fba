package fanout

import (
	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
)

// catchUp reads the log for a member whose queue takes nothing, up to the moment from which the
// queue takes live messages again. The part before each step of the member is read with what
// matched then; the last values that the step asks for follow it.
type catchUp struct {
	reading
	at       history.Position
	reader   *history.Reader
	snapshot *history.Snapshot // that is read instead of the reader
	cut      bool              // the reader ends at the next step of the member
	last     bool              // the reader ends where the live messages begin
	greet    bool              // the client is to be told what was recovered
	live     bool              // and when live messages follow
}

// Next implements queue.Puller.
func (c *catchUp) Next(b queue.Batch) (done bool) {
	for c.give(b) {
		entries, more := c.read(b)
		if c.took(entries); len(entries) > 0 || more {
			continue
		}
		if !c.advance() {
			if c.live {
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
		if c.greet {
			c.greet = false
			c.resumed(b, resumed)
		}
	}
	entries, more = c.reader.Next(c.entries[:0], stepBytes)
	if c.reader.Lost() {
		c.resumed(b, history.Resumed{})
	}
	return entries, more
}

// resumed tells the client what is recovered.
func (c *catchUp) resumed(b queue.Batch, r history.Resumed) {
	at, _ := c.reader.Position().AppendBinary(nil)
	_ = b.Resumed(at, r.Recovered, r.Gap) // an error ends the stream
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
	match := m.match()
	if len(m.steps) > 0 {
		match = m.steps[0].before
	}
	c.reader, resumed = h.log.Resume(c.at, match)
	if len(m.steps) > 0 {
		c.reader.Cut(m.steps[0].cut)
		c.cut = true
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
	case m.group == nil:
		return false
	case c.snapshot != nil:
		c.snapshot, c.reader = nil, nil
	case c.last:
		c.at = c.reader.Position()
		return false
	case c.cut:
		s := m.steps[0]
		m.steps = m.steps[1:]
		c.at, c.cut = s.cut, false
		if c.reader = nil; s.last != nil {
			c.snapshot = h.log.Last(s.last, s.cut)
		}
	case len(m.steps) > 0: // subscribed while the reader was on its way
		c.reader.Cut(m.steps[0].cut)
		c.cut = true
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
	c.reader.Cut(h.log.End())
	c.member.queue.CaughtUp()
}
