package zmtp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/nonblock"
	"github.com/zwsbridge/zwsbridge/zap"
)

// RawOptions configure [DialRaw].
type RawOptions struct {
	// Mechanism is the mechanism in the greeting; that of the peer must be the same.
	// Required.
	Mechanism zap.Mechanism
	// Minor is the version of the greeting, ZMTP 3.Minor: 0 or 1. A peer sends PING, and
	// SUBSCRIBE as a command, only to a side that speaks 3.1.
	Minor byte
	// Timeout limits name resolution, connect and greetings together; zero means
	// [DefaultHandshakeTimeout].
	Timeout time.Duration
	// WriteTimeout limits every write; zero means [DefaultWriteTimeout].
	WriteTimeout time.Duration
	// Permit is as in [Options].
	Permit func(netip.AddrPort) error
}

// RawConn is a ZMTP connection on which only the greetings have been exchanged. Its user does
// the handshake, encodes, limits and answers what follows, or passes frames on to somebody who
// does. One goroutine at a time may call ReadFrame and Buffered; the other methods may be
// called by any goroutine at any time. The code that made a RawConn closes it.
type RawConn struct {
	conn *Conn
}

// DialRaw connects as [Dial] does and exchanges greetings as a client. Errors are those of
// Dial except [*RefusedError] and [*SocketTypeError].
func DialRaw(ctx context.Context, endpoint string, o RawOptions) (*RawConn, error) {
	setDefault(&o.Timeout, DefaultHandshakeTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	if n := len(o.Mechanism); n == 0 || n > mechanismSize {
		return nil, fmt.Errorf("zmtp: mechanism name of %d bytes, want 1 to %d", n, mechanismSize)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	nc, err := dialTransport(ctx, endpoint, o.Permit)
	if err != nil {
		return nil, err
	}
	r := newRawConn(nc, o)
	err = r.conn.open(ctx, func(context.Context) error {
		return r.conn.greet(o.Minor, o.Mechanism, false)
	})
	if err != nil {
		return nil, fmt.Errorf("zmtp: %s: %w", endpoint, err)
	}
	return r, nil
}

func newRawConn(nc net.Conn, o RawOptions) *RawConn {
	return &RawConn{conn: &Conn{
		nc:     nc,
		direct: nonblock.Socket(nc),
		o:      Options{HandshakeTimeout: o.Timeout, WriteTimeout: o.WriteTimeout},
		in:     newReader(nc, DefaultReadBuffer),
	}}
}

// Minor returns the minor version of ZMTP 3 that the peer speaks; 1 if the peer speaks a later
// major version.
func (r *RawConn) Minor() byte { return r.conn.minor }

// ReadFrame returns the next frame, including commands. A frame of more than limit bytes is
// refused, before memory is allocated for it, with an error that wraps [ErrTooLarge]. The body
// is valid until the next call of ReadFrame or Buffered. Errors are final and close the
// connection; they are those of [Conn.ReadFrame].
func (r *RawConn) ReadFrame(limit int64) (Frame, error) {
	c := r.conn
	h, err := c.in.header()
	if err == nil && h.size > limit {
		err = fmt.Errorf("frame of %d bytes, at most %d are allowed: %w", h.size, limit, ErrTooLarge)
	}
	if err != nil {
		return Frame{}, c.lost(err)
	}
	body, err := c.in.body(h)
	if err != nil {
		return Frame{}, c.lost(err)
	}
	return Frame{More: h.more, Command: h.command, Body: body}, nil
}

// Buffered reports whether the next ReadFrame will return without waiting for the network.
func (r *RawConn) Buffered() bool { return r.conn.in.buffered() }

// WriteFrames sends frames as they are, all of them in one system call. It does not keep their
// bodies. An error closes the connection.
func (r *RawConn) WriteFrames(frames ...Frame) error {
	c := r.conn
	c.writing.Lock()
	defer c.writing.Unlock()
	b := newWriteBuffer()
	defer b.free()
	for _, f := range frames {
		b.add(f, true)
	}
	_, err := c.flush(b)
	return err
}

// Close closes the connection at once. Reads and writes that are in progress fail with
// net.ErrClosed. Close may be called more than once; it always returns nil.
func (r *RawConn) Close() error { return r.conn.Close() }
