package zmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Conn is a ZMTP connection whose handshake is done. One goroutine at a time may read
// (ReadFrame, ReadMessage, Buffered); any may call the other methods at any time. Whoever
// made the Conn closes it.
type Conn struct {
	nc        net.Conn
	o         Options
	mechanism Mechanism
	// turn, if not nil, is told during the handshake whether we are to act or the peer.
	turn func(ours bool)
	// undecided: we are the server, and our ZAP handler could not decide on the peer.
	undecided bool
	// stepwise: the peer sent its greeting in steps, as libzmq does.
	stepwise bool
	// minor: the peer speaks ZMTP 3.minor, or a newer version that includes it.
	minor byte

	in       *reader
	incoming incoming
	writing  sync.Mutex // held over a write and the encoding before it
	beat     heartbeat
	cause    atomic.Pointer[error] // what closed the connection first
}

// Client completes the client side of a handshake on nc, which it owns from then on, also
// when it fails. Errors are those of [Dial] without [ErrUnreachable].
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

// Server completes the server side of mechanism m on nc, which it owns from then on, also
// when it fails. It fills sec.Address, unless that is set, from nc's remote address, and
// sec.Local from o. A peer of a socket type that ours does not accept is told 400 before
// sec.Admit is asked. Errors are those of [Client]; a *RefusedError is the decision of
// sec.Handler or sec.Admit.
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

// newConn takes nc over: it closes it if o is not usable.
func newConn(nc net.Conn, o Options) (*Conn, error) {
	o, err := o.withDefaults()
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &Conn{nc: nc, o: o, in: newReader(nc, o.ReadBuffer)}, nil
}

// open runs a handshake under one deadline. It is over at once when ctx is done.
func (c *Conn) open(parent context.Context, handshake func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(parent, c.o.HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.nc.Close() })
	err := handshake(ctx)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if c.undecided {
		c.keepSilent(parent)
	}
	if err != nil {
		c.shut(err)
		return explain(ctx, err)
	}
	c.startHeartbeat()
	return nil
}

// silence is how long a peer is kept for which no decision could be made (ZAP 300).
const silence = 30 * time.Second

// keepSilent leaves the connection open, and says nothing, until the peer gives up: as
// libzmq does on ZAP 300. A peer that were hung up on would take it for a refusal, which is
// final, and one that hears nothing tries again later.
func (c *Conn) keepSilent(ctx context.Context) {
	if c.turn != nil {
		c.turn(false)
	}
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.nc.Close() })()
	_, _ = io.Copy(io.Discard, c.nc)
}

// client is the client side of the handshake.
func (c *Conn) client(ctx context.Context, sec ClientSecurity) error {
	m, err := sec.NewClient(c.o.local())
	if err != nil {
		return err
	}
	if err := c.greet(m.Name(), false); err != nil {
		return err
	}
	hangup := ErrClosedDuringLogin
	if m.Name() == zap.CURVE {
		hangup = ErrClosedBeforeWelcome
	}
	if c.o.Properties != nil {
		m = &lateClient{m, c}
	}
	if err := c.login(ctx, m, hangup); err != nil {
		return err
	}
	return c.checkPeer(m.Peer())
}

// server is the server side of the handshake.
func (c *Conn) server(ctx context.Context, m zap.Mechanism, sec ServerSecurity) error {
	if err := c.greet(m, true); err != nil {
		return err
	}
	if sec.Address == "" {
		sec.Address = ipAddress(c.nc.RemoteAddr())
	}
	sec.Local = c.o.local()
	sec.LibzmqError = sec.LibzmqError || c.stepwise
	var machine Mechanism
	admit := sec.Admit
	sec.Admit = func(ctx context.Context, peer *Peer) error { return c.admit(ctx, peer, admit, machine) }
	machine, err := NewServer(m, sec)
	if err != nil {
		return err
	}
	err = c.login(ctx, machine, ErrClosedDuringLogin)
	refused, ok := errors.AsType[*RefusedError](err)
	c.undecided = ok && refused.Status == zap.Temporary
	return err
}

// admit checks the peer's socket type as a part of Admit, so that an ERROR takes the place
// of READY (37/ZMTP, "The Socket-Type Property"): before the caller's own admit is asked,
// or as soon as our own type is known.
func (c *Conn) admit(ctx context.Context, peer *Peer, admit func(context.Context, *Peer) error, m Mechanism) error {
	late := c.o.Properties != nil
	if !late {
		if err := c.refuseMisfit(peer); err != nil {
			return err
		}
	}
	if admit != nil {
		if err := admit(ctx, peer); err != nil {
			return err
		}
	}
	if !late {
		return nil
	}
	if err := c.askProperties(ctx, m); err != nil {
		return err
	}
	return c.refuseMisfit(peer)
}

// refuseMisfit is checkPeer with an error that the peer is told.
func (c *Conn) refuseMisfit(peer *Peer) error {
	if err := c.checkPeer(peer); err != nil {
		return fmt.Errorf("%w (%w)", err, &RefusedError{Status: zap.Refused})
	}
	return nil
}

// login lets m exchange commands with the peer until it is done. hangup is what it means
// when the peer closes the connection instead of its first command.
func (c *Conn) login(ctx context.Context, m Mechanism, hangup error) error {
	var in *Command
	for {
		c.setTurn(true)
		out, err := m.Next(ctx, in)
		c.setTurn(false)
		var unsent error
		if out != nil {
			unsent = c.writeRaw(AppendFrame(nil, Frame{Command: true, Body: out.Append(nil)}))
		}
		if err != nil {
			return err
		}
		if m.Done() {
			c.mechanism = m
			return unsent
		}
		// A peer that takes nothing any more may have said why: look before giving up.
		if in, err = c.readCommand(); err != nil {
			if t, ok := errors.AsType[*transportError](err); ok {
				t.meaning = hangup
			}
			return err
		}
		hangup = ErrClosedDuringLogin
	}
}

func (c *Conn) setTurn(ours bool) {
	if c.turn != nil {
		c.turn(ours)
	}
}

// readCommand reads one command of the handshake.
func (c *Conn) readCommand() (*Command, error) {
	h, err := c.in.header()
	if err != nil {
		return nil, err
	}
	if !h.command {
		return nil, fmt.Errorf("%w: message frame during the handshake", ErrProtocol)
	}
	if h.size > int64(c.o.Limits.Handshake) {
		return nil, fmt.Errorf("handshake command of %d octets, at most %d are allowed: %w", h.size, c.o.Limits.Handshake, ErrTooLarge)
	}
	body, err := c.in.body(h)
	if err != nil {
		return nil, err
	}
	command, err := ParseCommand(body)
	return &command, err
}

// checkPeer tells whether the peer is one that our socket may talk to.
func (c *Conn) checkPeer(peer *Peer) error {
	if theirs := peer.SocketType(); !c.o.SocketType.Accepts(theirs) {
		return &SocketTypeError{Ours: c.o.SocketType, Peer: theirs}
	}
	if n := len(peer.RoutingID()); n > maxRoutingID {
		return fmt.Errorf("%w: routing id of %d octets, at most %d are allowed", ErrProtocol, n, maxRoutingID)
	}
	return nil
}

// explain makes of an error of the handshake one that says what it means.
func explain(ctx context.Context, err error) error {
	transport, ok := errors.AsType[*transportError](err)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && (ok || errors.Is(err, context.DeadlineExceeded)):
		return ErrHandshakeTimeout
	case ctx.Err() != nil && ok:
		return context.Cause(ctx)
	case !ok:
		return err
	case transport.meaning != nil:
		return transport.meaning
	}
	return ErrClosedDuringLogin
}

// ipAddress is the address of a peer as a ZAP request has it; empty where it has none.
func ipAddress(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return ""
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("").String()
}

// Peer tells who is at the other end. Callers must not change it.
func (c *Conn) Peer() *Peer { return c.mechanism.Peer() }

// RemoteAddr is the transport address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// LocalAddr is our transport address.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// Close closes the connection at once, also under a read or write that waits, which then
// fail with net.ErrClosed. Closing again does nothing. The error is always nil.
func (c *Conn) Close() error {
	c.shut(net.ErrClosed)
	c.stopHeartbeat()
	return nil
}

// shut closes the transport. The first cause is what reads and writes report.
func (c *Conn) shut(cause error) {
	if c.cause.CompareAndSwap(nil, &cause) {
		c.nc.Close()
	}
}
