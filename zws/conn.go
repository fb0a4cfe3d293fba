package zws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/poll"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Conn is one WebSocket and the login on it. PendingConn.Accept returns it; Close, the
// client or a fault ends it. All methods may be called by any goroutine, NextChannel by one
// at a time.
type Conn struct {
	dialect   *dialect
	wire      wire
	reader    *reader        // nil while the client is idle; the holder of reading uses it
	mechanism zmtp.Mechanism // nil unless it encrypts
	login     atomic.Pointer[Login]
	renewal   *renewal // nil on dialects without one
	channel   Channel
	mux       atomic.Pointer[mux] // nil on dialects with one channel, and before READY

	maxMessage, maxFrames atomic.Int64 // see SetLimits

	life lifetime

	confirmed atomic.Pointer[func(token uint64)] // AcceptOptions.Confirmed; nil before READY

	// silent is set until READY for a client that wants no close frame; see wantsNoClose.
	silent atomic.Bool

	arrays atomic.Bool // the client of ZWSJSON1.0 gets arrays of objects

	// poller watches the connection instead of a reader while parked is set.
	parked atomic.Bool
	poller *Poller
	place  poll.Place

	// reading is held while a goroutine reads. That goroutine sets readEnded when the client
	// will send no more.
	readEnded bool
	reading   token

	out        writer
	heartbeats *heartbeats // nil before the first; only the reader uses it
	liveness   liveness
}

// newConn upgrades the request. If that fails, the client was answered with an HTTP status.
func newConn(w http.ResponseWriter, r *http.Request, chosen offer, o *Options) (*Conn, error) {
	reader, err := upgrade(w, r, chosen.name)
	if err != nil {
		return nil, err
	}
	c := &Conn{dialect: chosen.dialect, poller: o.Poller}
	c.wire.Conn = reader.wire.Conn
	c.use(reader)
	limitUnsent(c.wire.Conn)
	c.maxMessage.Store(o.MaxMessage)
	c.maxFrames.Store(int64(o.MaxFrames))
	if c.dialect.renewable {
		c.renewal = &renewal{options: o.kept()}
	}
	c.silent.Store(wantsNoClose(r))
	c.out.pings.bare = isLibzmq(r)
	c.channel.conn = c
	c.out.open(c, o.WriteTimeout)
	return c, nil
}

// Login returns the login on the connection, as of its last renewal.
func (c *Conn) Login() *Login { return c.login.Load() }

// Channel returns the one channel of a plain ZWS connection. On a connection of ZWSMUX1.0 it
// represents the connection as a whole and has no messages; see NextChannel.
func (c *Conn) Channel() *Channel { return &c.channel }

// Context ends when the connection does: nothing is read or written any more. The
// WebSocket may still be closing; Wait waits for that.
func (c *Conn) Context() context.Context { return &c.life }

// Cause returns why the connection has ended; nil if it has not.
func (c *Conn) Cause() *CloseError { return c.life.cause.Load() }

// Close ends the connection and tells the client the close code and reason that Cause makes
// of cause; nil is a normal end. The first cause counts, later calls do nothing. What the
// source still holds is not written. Close does not block: the writer sends the close frame
// and closes the WebSocket, within Options.WriteTimeout and two seconds.
func (c *Conn) Close(cause error) {
	first := c.life.end(Cause(cause))
	if m := c.mux.Load(); m != nil && first {
		go m.endChannels() // the caller may have the lock
	}
	c.liveness.stop()
	c.out.wake()
	c.resume()
}

// SetLimits replaces Options.MaxMessage and Options.MaxFrames for messages that come later. A
// relay, and a channel that is one, keeps those that it began with.
func (c *Conn) SetLimits(message int64, frames int) {
	if c.Login().Relayed != "" {
		return
	}
	c.maxMessage.Store(cmp.Or(message, DefaultMaxMessage))
	c.maxFrames.Store(int64(cmp.Or(frames, DefaultMaxFrames)))
}

// Wait returns when the WebSocket is closed. A ReadMessage or NextChannel that waits then
// returns soon. Wait does not close the connection itself.
func (c *Conn) Wait() { <-c.out.done() }

// Expiring tells a client that asked for notifications that its login ends in d, in whole
// seconds (EXPIRING). It does not block.
func (c *Conn) Expiring(d time.Duration) {
	if !c.notifies() {
		return
	}
	seconds := uint32(min(max(d/time.Second, 0), 1<<32-1))
	c.out.put(func(b *before) { b.expiring = &seconds })
}

// lost is Channel.Lost of the one channel.
func (c *Conn) lost(n uint64) {
	if n == 0 || !c.notifies() {
		return
	}
	c.out.put(func(b *before) { b.lost += n })
}

// notifies reports whether the client gets notifications.
func (c *Conn) notifies() bool { return c.dialect.notifier.enabled(c.Login()) }

var errOneChannel = errors.New("zws: NextChannel on a connection with one channel")

// NextChannel reads a connection of ZWSMUX1.0 and returns the next channel that the client
// asks for. It reads for all channels, so the caller loops over it and serves each channel
// in another goroutine, which it waits for itself. The error is the cause of the
// connection's end, a *CloseError. The end of ctx ends the connection. One goroutine at a
// time may call it; after Close it returns within two seconds.
func (c *Conn) NextChannel(ctx context.Context) (*PendingChannel, error) {
	m := c.mux.Load()
	if m == nil {
		return nil, errOneChannel
	}
	defer context.AfterFunc(ctx, func() { c.Close(context.Cause(ctx)) })()
	if c.life.over() {
		return nil, c.Cause()
	}
	for {
		if opened, err := c.nextChannel(m); opened != nil || err != nil {
			return opened, err
		}
	}
}

// encode makes a frame of traffic ready for the transport: it encrypts it if the mechanism
// does.
func (c *Conn) encode(f zmtp.Frame) (zmtp.Frame, error) {
	if c.mechanism == nil {
		return f, nil
	}
	return c.mechanism.Encode(f)
}

// send queues a command of the handshake or of a renewal, which is never encrypted.
func (c *Conn) send(command zmtp.Command) {
	body := command.Append(nil)
	c.enqueue(append(appendFrameHeader(nil, flagCommand, len(body)), body...))
}

// enqueue queues encoded frames for the writer, before data.
func (c *Conn) enqueue(p []byte) {
	c.out.put(func(b *before) { b.control = append(b.control, p...) })
}

// answerPing queues a pong. Only the latest ping needs one (RFC 6455, section 5.5.3).
func (c *Conn) answerPing(payload string) error {
	c.out.put(func(b *before) { b.pong = wsframe.AppendControl(nil, wsframe.Pong, []byte(payload)) })
	return nil
}

// lingerTime is how long a client has to close its side after the server's close frame.
const lingerTime = 2 * time.Second

// linger closes the connection after the close frame. Closing it while the client still
// sends would reset it, and the close frame with its reason would be lost: so only the
// server's side is closed at first, and what still comes is discarded for a while.
func (c *Conn) linger() {
	defer c.closeTransport()
	if half, ok := c.wire.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.wire.expire(time.Now().Add(lingerTime)) // also ends a read that is waiting
	c.reading.take()
	defer c.reading.put()
	if !c.readEnded {
		io.Copy(io.Discard, c.wire.Conn)
	}
}

// closeTransport closes the connection below, which the poller then forgets.
func (c *Conn) closeTransport() {
	if c.poller != nil {
		c.poller.Forget(&c.place)
	}
	c.wire.Conn.Close()
}

// writeError distinguishes a client that does not read from a connection that broke.
func writeError(err error) error {
	if isTimeout(err) {
		return &CloseError{Code: CodeTooSlow, Reason: "the client reads too slowly", Err: err}
	}
	return &CloseError{Code: CodeAbnormal, Err: fmt.Errorf("%w: %w", ErrPeerClosed, err)}
}
