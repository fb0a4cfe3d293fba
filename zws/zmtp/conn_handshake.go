package zmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// open runs a handshake with one deadline for the whole of it. It returns as soon as parent is
// done. If it fails the connection is closed.
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

// client is the client side of a handshake: greeting, mechanism, socket types.
func (c *Conn) client(ctx context.Context, sec ClientSecurity) error {
	m, err := sec.NewClient(c.o.local())
	if err != nil {
		return err
	}
	if err := c.greet(ourMinor, m.Name(), false); err != nil {
		return err
	}
	hangups := [2]error{ErrClosedDuringLogin, ErrClosedDuringLogin}
	if m.Name() == zap.CURVE {
		hangups = [2]error{ErrClosedBeforeWelcome, ErrClosedAfterWelcome}
	}
	if c.older != nil {
		if err := c.loginOlder(ctx, m, false); err != nil {
			return err
		}
		return c.checkPeer(m.Peer())
	}
	machine := m
	if c.o.Properties != nil {
		machine = &deferredClient{m, c}
	}
	if err := c.login(ctx, machine, hangups); err != nil {
		return explained(err, c.o.SocketType)
	}
	c.mechanism = m
	return c.checkPeer(m.Peer())
}

// server is the server side of a handshake: greeting, mechanism with ZAP, socket types and
// ServerSecurity.Admit.
func (c *Conn) server(ctx context.Context, m zap.Mechanism, sec ServerSecurity) error {
	if err := c.greet(ourMinor, m, true); err != nil {
		return err
	}
	if sec.Address == "" {
		sec.Address = ipAddress(c.nc.RemoteAddr())
	}
	sec.Local = c.o.local()
	sec.LibzmqError = sec.LibzmqError || c.greetsInSteps
	var machine Mechanism
	admit := sec.Admit
	sec.Admit = func(ctx context.Context, peer *Peer) error { return c.admit(ctx, peer, admit, machine) }
	machine, err := NewServer(m, sec)
	if err != nil {
		return err
	}
	if c.older != nil {
		err = c.loginOlder(ctx, machine, true)
	} else {
		err = c.login(ctx, machine, [2]error{ErrClosedDuringLogin, ErrClosedDuringLogin})
	}
	refused, ok := errors.AsType[*RefusedError](err)
	c.undecided = ok && refused.Status == zap.Temporary
	return err
}

// login passes commands between m and the peer until m is done. hangups are the errors if the
// peer closes the connection instead of sending its first command, or a later one.
func (c *Conn) login(ctx context.Context, m Mechanism, hangups [2]error) error {
	var in *Command
	for {
		out, err := m.Next(ctx, in)
		c.setWaiting(true)
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
		// Read even if the write has failed: the peer may have said why it closed the
		// connection.
		if in, err = c.readCommand(); err != nil {
			if t, ok := errors.AsType[*transportError](err); ok {
				t.meaning = hangups[0]
			}
			return err
		}
		c.setWaiting(false)
		hangups[0] = hangups[1]
	}
}

func (c *Conn) setWaiting(waiting bool) {
	if c.onWait != nil {
		c.onWait(waiting)
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
		return nil, fmt.Errorf("handshake command of %d bytes, at most %d are allowed: %w", h.size, c.o.Limits.Handshake, ErrTooLarge)
	}
	body, err := c.in.body(h)
	if err != nil {
		return nil, err
	}
	command, err := ParseCommand(body)
	return &command, err
}

// admit is the Admit of a server side. It checks the socket types here, because an ERROR must
// be sent instead of READY (37/ZMTP, "The Socket-Type Property"): before the caller's own
// admit, or with Options.Properties as soon as the type of this side is known.
func (c *Conn) admit(ctx context.Context, peer *Peer, admit func(context.Context, *Peer) error, m Mechanism) error {
	deferred := c.o.Properties != nil
	if !deferred {
		if err := c.refuseMismatch(peer); err != nil {
			return err
		}
	}
	if admit != nil {
		if err := admit(ctx, peer); err != nil {
			return err
		}
	}
	if !deferred {
		return nil
	}
	if err := c.loadProperties(ctx, m); err != nil {
		return err
	}
	return c.refuseMismatch(peer)
}

// refuseMismatch is checkPeer with an error for which an ERROR command is sent.
func (c *Conn) refuseMismatch(peer *Peer) error {
	if err := c.checkPeer(peer); err != nil {
		return fmt.Errorf("%w (%w)", err, &RefusedError{Status: zap.Refused})
	}
	return nil
}

// checkPeer checks the peer's socket type and routing id.
func (c *Conn) checkPeer(peer *Peer) error {
	if theirs := peer.SocketType(); !c.o.SocketType.Accepts(theirs) {
		return &SocketTypeError{Ours: c.o.SocketType, Peer: theirs}
	}
	if n := len(peer.RoutingID()); n > maxRoutingID {
		return fmt.Errorf("%w: routing id of %d bytes, at most %d are allowed", ErrProtocol, n, maxRoutingID)
	}
	return nil
}

// undecidedTimeout is how long keepSilent keeps a connection open.
const undecidedTimeout = 30 * time.Second

// keepSilent keeps the connection of an undecided peer open, without sending anything, until
// the peer closes it. libzmq does the same on ZAP status 300: a peer takes a closed connection
// for a refusal, which is final, but tries again after silence.
func (c *Conn) keepSilent(ctx context.Context) {
	c.setWaiting(true)
	ctx, cancel := context.WithTimeout(ctx, undecidedTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.nc.Close() })()
	_, _ = io.Copy(io.Discard, c.nc)
}

// explain returns the error to report for an error of the handshake: a failure of the
// transport is replaced by what it means.
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

// ipAddress returns the address of a peer for a ZAP request, which is empty if the peer has
// no IP address.
func ipAddress(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return ""
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("").String()
}
