package zmtp

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/zwsbridge/zwsbridge/internal/nonblock"
	"github.com/zwsbridge/zwsbridge/zap"
)

// Conn is a ZMTP connection whose handshake is complete. One goroutine at a time may call
// ReadFrame, ReadMessage, Await, Idle, Park and Buffered; the other methods may be called by any
// goroutine at any time. The code that made a Conn closes it.
type Conn struct {
	nc        net.Conn
	direct    syscall.RawConn // for writes that do not wait; nil if nc has none
	o         Options
	limits    atomic.Pointer[Limits] // those of o, or of SetLimits
	mechanism Mechanism
	// onWait, if not nil, is called during the handshake whenever it begins (true) or ends
	// (false) to wait for the peer.
	onWait func(waiting bool)
	// undecided: this is the server side and its ZAP handler could not decide on the peer.
	undecided bool
	// greetsInSteps: the peer sent its greeting in steps, as libzmq does.
	greetsInSteps bool
	// older is what the greeting of a ZMTP 2.0 peer says; nil for other peers.
	older zap.Metadata
	// minor: the peer speaks ZMTP 3.minor, or a newer version that includes it.
	minor byte

	in       *reader
	incoming incoming
	parking  parking
	writing  sync.Mutex // held during a write and the encoding before it
	beat     heartbeat
	cause    atomic.Pointer[error] // the first cause of the end
}

// Client runs the client side of a handshake on nc. Client owns nc from the call on and closes
// it if it fails. Errors are those of [Dial] except [ErrUnreachable].
func Client(ctx context.Context, nc net.Conn, sec ClientSecurity, o Options) (*Conn, error) {
	c, err := newConn(nc, o)
	if err != nil {
		return nil, err
	}
	if err := c.open(ctx, func(ctx context.Context) error { return c.client(ctx, sec) }); err != nil {
		return nil, err
	}
	return c, nil
}

// Server runs the server side of mechanism m on nc. Server owns nc from the call on and closes
// it if it fails. It sets sec.Address from nc's remote address, if it is empty, and sec.Local
// from o. A peer whose socket type o.SocketType does not accept is refused with status 400
// before sec.Admit is called. Errors are those of [Client]; a [*RefusedError] is the decision
// of sec.Handler or sec.Admit.
func Server(ctx context.Context, nc net.Conn, m zap.Mechanism, sec ServerSecurity, o Options) (*Conn, error) {
	c, err := newConn(nc, o)
	if err != nil {
		return nil, err
	}
	if err := c.open(ctx, func(ctx context.Context) error { return c.server(ctx, m, sec) }); err != nil {
		return nil, err
	}
	return c, nil
}

// newConn takes ownership of nc and closes it if o is invalid.
func newConn(nc net.Conn, o Options) (*Conn, error) {
	o, err := o.withDefaults()
	if err != nil {
		nc.Close()
		return nil, err
	}
	c := &Conn{nc: nc, direct: nonblock.Socket(nc), o: o, in: newReader(nc, o.ReadBuffer)}
	c.limits.Store(&c.o.Limits)
	return c, nil
}

// SetLimits replaces [Options.Limits], from the next frame on. Zero values have the same meaning
// as there.
func (c *Conn) SetLimits(l Limits) {
	l.setDefaults()
	c.limits.Store(&l)
}

// Peer returns what is known of the peer. Callers must not change it.
func (c *Conn) Peer() *Peer { return c.mechanism.Peer() }

// RemoteAddr returns the transport address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// LocalAddr returns the transport address of this side.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// Close closes the connection at once. Reads and writes that are in progress fail with
// net.ErrClosed. Close may be called more than once; it always returns nil.
func (c *Conn) Close() error {
	c.shut(net.ErrClosed)
	c.stopHeartbeat()
	return nil
}

// shut closes the transport. Reads and writes report the first cause.
func (c *Conn) shut(cause error) {
	if c.cause.CompareAndSwap(nil, &cause) {
		c.nc.Close()
		c.resume()
	}
}
