package zws

import (
	"context"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Channel is one socket of a client. A plain ZWS connection has one, which ends with the
// connection; a client of ZWSMUX1.0 opens and closes any number. One goroutine at a time may
// call ReadMessage; all other methods may be called by any goroutine.
//
// What it sends comes from a [Source], or from Send for callers without one.
type Channel struct {
	conn   *Conn
	mux    *muxChannel // nil for the one channel of a connection
	frames [][]byte    // of the message that is being read
	size   int64
	first  *[]zmtp.Message        // subscriptions of the request, which are read before anything else; nil once they are
	outbox atomic.Pointer[outbox] // nil before the first Send

	history historyState

	handle func(zmtp.Message) error // see Serve
	ended  func()
}

// Conn returns the connection that the channel is on.
func (ch *Channel) Conn() *Conn { return ch.conn }

// Context ends with the channel and holds its cause.
func (ch *Channel) Context() context.Context {
	if ch.mux != nil {
		return &ch.mux.life
	}
	return &ch.conn.life
}

// Request returns what the client of ZWSMUX1.0 asked for; nil for the one channel of a plain
// connection.
func (ch *Channel) Request() *ChannelRequest {
	if ch.mux == nil {
		return nil
	}
	return &ch.mux.request
}

// Login returns the connection's login, as of its last renewal. On a channel of ZWSMUX1.0 it
// is a copy with what the client said about itself for this channel.
func (ch *Channel) Login() *Login {
	l := ch.conn.Login()
	if ch.mux == nil {
		return l
	}
	own := *l
	own.SocketType, own.RoutingID, own.Multiplexed = ch.mux.request.SocketType, ch.mux.request.RoutingID, false
	own.Relayed = ch.mux.request.Relay
	own.Greets = own.Relayed != ""
	own.History, own.Queue = ch.mux.request.History, ch.mux.request.Queue
	return &own
}

// Codec returns how messages of this channel are encoded, if other channels can use the
// same bytes: what it makes can be written with Batch.Encoded. ok is false where each
// connection has keys of its own; only Batch.Message writes to it.
func (ch *Channel) Codec() (codec Codec, ok bool) {
	return ch.Login().Codec(ch.history.marked)
}

// Attach sets where the channel's output comes from. Call it before the first Wake, and not
// together with Send.
func (ch *Channel) Attach(src Source) {
	if ch.mux != nil {
		ch.mux.attach(src)
		return
	}
	w := &ch.conn.out
	w.mu.Lock()
	w.source = src
	w.mu.Unlock()
	w.wake()
}

// Wake has the source asked: it starts a writer if none runs. It does not block and costs
// next to nothing if a writer runs already.
func (ch *Channel) Wake() {
	if ch.mux != nil {
		ch.mux.wake()
		return
	}
	ch.conn.out.wake()
}

// Announce and Flush together are Wake for a goroutine that has a message for the client at hand and a
// source that does not wait. Announce marks the channel as one that has something to write. If messages go
// to many channels, announce all of them before the first Flush: those of one connection share a write
// then. It does not block.
func (ch *Channel) Announce() {
	if ch.mux != nil {
		ch.mux.announce()
	}
}

// Flush writes what was announced, as much as the system takes at once, which saves waking a writer. It
// calls the source for that, and on a connection of ZWSMUX1.0 those of all channels that are announced.
// Another goroutine writes the rest.
func (ch *Channel) Flush() {
	if ch.mux != nil {
		ch.mux.flush()
		return
	}
	ch.conn.out.flush()
}

// Lost tells a client that asked for notifications that n more messages were dropped for it
// on this channel (LOST). Calls before the notification is written add up. It does not
// block.
func (ch *Channel) Lost(n uint64) {
	if ch.mux != nil {
		ch.mux.addLost(n)
		return
	}
	ch.conn.lost(n)
}

// Granted returns how many bytes of credit a client of ZWSMUX1.0 has given for the channel since
// it was opened, so that a server can see whether the client goes on. 0 on other connections.
func (ch *Channel) Granted() int64 {
	if ch.mux == nil {
		return 0
	}
	ch.mux.parent.mu.Lock()
	defer ch.mux.parent.mu.Unlock()
	return ch.mux.granted
}

// Close ends the channel and tells the client the code and reason that Cause makes of
// cause; a plain ZWS connection ends with its channel. The first cause counts. What the
// source still holds is not written. It does not block. The caller closes every channel
// that it accepted from NextChannel, also after the client has closed it: until then the
// channel counts towards Options.MaxChannels, see there.
func (ch *Channel) Close(cause error) {
	if ch.mux != nil {
		ch.mux.close(cause)
		ch.mux.release()
		return
	}
	ch.conn.Close(cause)
}

// Cause returns why the channel has ended; nil if it has not.
func (ch *Channel) Cause() *CloseError {
	if ch.mux != nil {
		return ch.mux.cause()
	}
	return ch.conn.Cause()
}

// Unsent returns how many bytes of what was written the client's TCP has not acknowledged; with
// TLS that includes its records. It is for clients that never answer a ping (Batch.Confirm): what
// is acknowledged has reached their system, if not them. It is not known on systems other than
// Linux, nor of connections that are not TCP or TLS over TCP.
func (ch *Channel) Unsent() (bytes int, known bool) { return unsent(ch.conn.wire.Conn) }
