package zws

import "github.com/zwsbridge/zwsbridge/zws/internal/wsframe"

// takeWhole takes the next WebSocket message if that is one frame of the given kind, of at most limit bytes,
// and was read ahead whole, as most messages of a client that sends many are. It does not need the library,
// whose calls cost as much as all else that reading such a message does. Other messages, control frames and
// whatever is malformed are left to the library: then it has taken nothing.
func (c *Conn) takeWhole(kind int, limit func() int64) (p pooled, ok bool) {
	r := c.reader
	if !r.between() {
		return pooled{}, false
	}
	h, ok := wsframe.ParseHeader(r.rest)
	if !ok || !h.Is(kind) || h.Fault() != "" || h.Payload > len(r.rest)-h.Length || int64(h.Payload) > limit() {
		return pooled{}, false
	}
	size := h.Length + h.Payload
	p.buffer = scratch.Get().(*[]byte)
	p.data = append((*p.buffer)[:0], r.rest[h.Length:size]...)
	*p.buffer = p.data[:0]
	h.Unmask(p.data)
	r.drop(size)
	r.received.Add(int64(size)) // also tells liveness that the client was heard
	return p, true
}
