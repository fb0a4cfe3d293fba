package zws

import (
	"fmt"
	"time"
)

// A browser can send no WebSocket pings, so clients have a PING of their own in each dialect
// with commands (PROTOCOL.md, "Heartbeats"). The server answers it like a WebSocket ping: only
// the latest, and before data.

const (
	// maxPings is how many PINGs a client may send in a second.
	maxPings = 100
	// maxPingContext is the longest context of a PING, in bytes (37/ZMTP, "Heartbeating").
	maxPingContext = 16
)

// heartbeatProperty of the server's metadata tells clients with notifications that PING is
// answered: other servers ignore it.
const heartbeatProperty = "Heartbeat"

// heartbeats counts the PINGs of a client. Only the reader uses it.
type heartbeats struct {
	since time.Time
	count int
}

// allow reports whether the client may send a PING at now.
func (h *heartbeats) allow(now time.Time) bool {
	if now.Sub(h.since) >= time.Second {
		*h = heartbeats{since: now}
	}
	h.count++
	return h.count <= maxPings
}

// answerHeartbeat queues the answer to a PING of the client. The reader calls it.
func (c *Conn) answerHeartbeat(context []byte) error {
	if c.heartbeats == nil {
		c.heartbeats = new(heartbeats)
	}
	if !c.heartbeats.allow(time.Now()) {
		return &CloseError{Code: CodeTooMany, Reason: fmt.Sprintf("more than %d pings in a second", maxPings)}
	}
	context = append([]byte{}, context...) // not nil, and outlives a pooled buffer
	c.out.put(func(b *before) { b.heartbeat = context })
	return nil
}

// heartbeatCommand is answerHeartbeat for a command: time-to-live, which does not matter to a server that has
// limits of its own, and context.
func (c *Conn) heartbeatCommand(data []byte) error {
	const ttl = 2 // bytes
	if len(data) < ttl || len(data) > ttl+maxPingContext {
		return protocolError(fmt.Sprintf("PING of %d bytes: want 2 to %d", len(data), ttl+maxPingContext))
	}
	return c.answerHeartbeat(data[ttl:])
}
