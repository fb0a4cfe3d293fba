package zws

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Channel is one socket on a session: what a route opens its backends for. A plain ZWS
// connection has one, which ends with the session; a client of ZWSMUX1.0 opens and closes
// any number. One goroutine at a time may call ReadMessage; all other methods may be called
// by any goroutine.
type Channel struct {
	conn   *Conn
	mux    *muxChannel // nil for the one channel of a session
	frames [][]byte    // of the message that is being read
	size   int64
	first  []zmtp.Message // what was asked for when it was opened, to be read before anything else

	handle func(zmtp.Message) error // see Serve
	ended  func()
}

// Conn returns the connection that the channel is on.
func (c *Channel) Conn() *Conn { return c.conn }

// Context ends with the channel; its cause is the channel's.
func (c *Channel) Context() context.Context {
	if c.mux != nil {
		return c.mux.ctx
	}
	return c.conn.ctx
}

// Request is what the client of ZWSMUX1.0 asked for; nil for the one channel of a session.
func (c *Channel) Request() *ChannelRequest {
	if c.mux == nil {
		return nil
	}
	return &c.mux.request
}

// Login is who the channel belongs to, since the last renewal: the session's login, with
// what the client told of itself for this channel.
func (c *Channel) Login() *Login {
	l := c.conn.Login()
	if c.mux == nil {
		return l
	}
	own := *l
	own.SocketType, own.RoutingID, own.Multiplexed = c.mux.request.SocketType, c.mux.request.RoutingID, false
	own.Relayed = c.mux.request.Relay
	own.Greets = own.Relayed != ""
	return &own
}

// Codec is how messages of this channel are encoded, if it shares that with others: what
// it gives may be written with Batch.Octets. ok is false where each session has keys of
// its own; then only Batch.Message will do.
func (c *Channel) Codec() (codec Codec, ok bool) {
	if c.conn.dialect.sealed {
		return nil, false
	}
	return c.conn.dialect.codec, true
}

// Attach sets where the channel's output comes from. Call it before the first Wake.
func (c *Channel) Attach(src Source) {
	if c.mux != nil {
		c.mux.attach(src)
		return
	}
	w := &c.conn.out
	w.mu.Lock()
	w.source = src
	w.mu.Unlock()
	w.wake()
}

// Wake tells that the source has something: a writer is started if none runs. It does not
// block and costs next to nothing if a writer runs already.
func (c *Channel) Wake() {
	if c.mux != nil {
		c.mux.wake()
		return
	}
	c.conn.out.wake()
}

// Lost tells the client, if it listens to that, that n more messages were dropped for it on
// this channel. Calls before the notice is written add up. It does not block.
func (c *Channel) Lost(n uint64) {
	if c.mux != nil {
		c.mux.loses(n)
		return
	}
	c.conn.lost(n)
}

// Close ends the channel and tells the client the code and reason that Cause makes of
// cause; a plain ZWS connection ends with its channel. The first cause counts. What the
// source still holds is not written. It does not block. The caller closes every channel of
// NextChannel, also one that the client has closed: until then it counts towards
// Options.MaxChannels, see there.
func (c *Channel) Close(cause error) {
	if c.mux != nil {
		c.mux.close(cause)
		c.mux.release()
		return
	}
	c.conn.Close(cause)
}

// Cause is why the channel is over; nil while it is not.
func (c *Channel) Cause() *CloseError {
	if c.mux != nil {
		return c.mux.cause()
	}
	return c.conn.Cause()
}
