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
	last     bool // the reader ends where the live messages begin
	greet    bool // the client is to be told what was recovered
	live     bool // and when live messages follow
}

// Next implements queue.Puller.
func (c *catchUp) Next(b queue.Batch) (done bool) {
	c.resume()
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
		switch {
		case c.greet:
			c.greet = false
			c.resumed(b, resumed)
		case c.at.Sequence < c.reader.Position().Sequence: // dropped before the reader began
			c.resumed(b, history.Resumed{})
		}
	}
	entries, more = c.reader.Next(c.entries[:0], stepBytes)
	if c.reader.Lost() {
		c.resumed(b, history.Resumed{})
	}
	return entries, more
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
	c.reader, resumed = h.log.Resume(c.at, m.match())
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
	c.member.queue.CaughtUp()
	if c.live {
		c.member.told = end
	}
}
