package zws

import "encoding/binary"

// Buffered tells that the client's next message is at hand whole, so that ReadMessage will
// not wait for the network. It may be called by the goroutine that calls ReadMessage. False
// tells nothing.
func (c *Channel) Buffered() bool {
	if c.mux != nil {
		return c.mux.buffered()
	}
	return len(c.first) > 0 || c.conn.wire.whole(c.conn.dialect.frames.more)
}

// whole tells that what was read ahead holds all WebSocket frames of a message, up to one
// whose flag octet is not more. It does not look into fragmented ones.
func (w *wire) whole(more byte) bool {
	ahead := ahead{rest: w.rest}
	ahead.peeked, _ = w.peeked.Peek(w.peeked.Buffered())
	for at := 0; ; {
		first, header, size, ok := ahead.header(at)
		body := at + header
		if !ok || size < 0 || size > ahead.len()-body {
			return false
		}
		at = body + size
		if first >= wsClose { // a control frame
			continue
		}
		if size == 0 || ahead.octet(body)^ahead.octet(body-4) != more {
			return true
		}
	}
}

// ahead is what was read ahead, in the order in which it arrived.
type ahead struct{ peeked, rest []byte }

func (a ahead) len() int { return len(a.peeked) + len(a.rest) }

func (a ahead) octet(i int) byte {
	if i < len(a.peeked) {
		return a.peeked[i]
	}
	return a.rest[i-len(a.peeked)]
}

// header reads the header of the client's frame that begins at at (RFC 6455, section 5.2).
// ok is false if it is not here whole or begins or goes on with a fragmented message.
func (a ahead) header(at int) (first byte, length, size int, ok bool) {
	const masked, most = 6, 14
	if a.len() < at+masked {
		return 0, 0, 0, false
	}
	var raw [most]byte
	for i := range min(most, a.len()-at) {
		raw[i] = a.octet(at + i)
	}
	length, size = masked, int(raw[1]&0x7F)
	switch size {
	case 126:
		length, size = masked+2, int(binary.BigEndian.Uint16(raw[2:]))
	case 127:
		length, size = masked+8, int(binary.BigEndian.Uint64(raw[2:]))
	}
	final := raw[0]&0x80 != 0 && raw[0]&0x0F != 0 && raw[1]&0x80 != 0
	return raw[0], length, size, final && a.len() >= at+length
}
