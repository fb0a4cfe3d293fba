package zws

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// Only reading shows of an encrypted frame what it is, so Buffered reads ahead. What it has read
// lies in the reader, which an idle connection does not have.

// hasRead reports whether readAhead has left something to take. r can be nil.
func (r *reader) hasRead() bool { return r != nil && (r.next != nil || r.failed != nil) }

// readAhead reads the frames that have arrived whole, up to the end of a message, and reports whether
// there is one. It leaves an error to read, so that the message before is handled first.
func (ch *Channel) readAhead() bool {
	c := ch.conn
	c.reading.take()
	defer c.reading.put()
	for r := c.reader; r != nil && !r.hasRead() && c.Cause() == nil; {
		if whole, _ := r.whole(c.dialect.frames); !whole {
			return false
		}
		r.next, r.failed = c.dialect.read(ch)
	}
	return c.reader != nil && c.reader.next != nil
}

// take returns what readAhead has read, or reads. Without a message and an error it has read
// something else.
func (ch *Channel) take() (zmtp.Message, error) {
	if r := ch.conn.reader; r.hasRead() {
		m, err := r.next, r.failed
		r.next, r.failed = nil, nil
		return m, err
	}
	return ch.conn.dialect.read(ch)
}
