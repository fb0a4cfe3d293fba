package zmtp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// RawOptions says how [DialRaw] connects.
type RawOptions struct {
	// Mechanism is the one that our greeting names; the peer's has to name the same.
	// Required.
	Mechanism zap.Mechanism
	// Minor is which ZMTP 3 we greet with: 0 or 1. A peer sends PING, and SUBSCRIBE in the
	// place of a message, to a side that speaks 3.1.
	Minor byte
	// Timeout bounds name resolution, connect and greetings together; zero means
	// [DefaultHandshakeTimeout].
	Timeout time.Duration
	// WriteTimeout bounds every write; zero means [DefaultWriteTimeout].
	WriteTimeout time.Duration
	// Permit is as in [Options].
	Permit func(netip.AddrPort) error
}

// RawConn is a ZMTP connection of which the greetings alone have been exchanged: whoever
// has it does the handshake and seals, counts and answers what follows, or hands the frames
// to somebody who does. One goroutine at a time may call ReadFrame and Buffered; any may
// call the other methods at any time. Whoever made it closes it.
type RawConn struct {
	conn  *Conn
	minor byte
}

// DialRaw connects as [Dial] does and exchanges greetings, as a client. Errors are those of
// Dial without [*RefusedError] and [*SocketTypeError].
func DialRaw(ctx context.Context, endpoint string, o RawOptions) (*RawConn, error) {
	setDefault(&o.Timeout, DefaultHandshakeTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	if n := len(o.Mechanism); n == 0 || n > mechanismSize {
		return nil, fmt.Errorf("zmtp: a mechanism with a name of %d octets: want 1 to %d", n, mechanismSize)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	nc, err := dialTransport(ctx, endpoint, o.Permit)
	if err != nil {
		return nil, err
	}
	r := newRawConn(nc, o)
	err = r.conn.open(ctx, func(context.Context) error {
		theirs, err := r.conn.greetAs(o.Minor, o.Mechanism, false)
		r.minor = theirs.minor()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("zmtp: %s: %w", endpoint, err)
	}
	return r, nil
}

func newRawConn(nc net.Conn, o RawOptions) *RawConn {
	return &RawConn{conn: &Conn{
		nc: nc,
		o:  Options{HandshakeTimeout: o.Timeout, WriteTimeout: o.WriteTimeout},
		in: newReader(nc, DefaultReadBuffer),
	}}
}

// Minor is which ZMTP 3 the peer speaks, 0 or more; for a peer that is newer than 3 it is
// the greatest that is known here.
func (r *RawConn) Minor() byte { return r.minor }

// ReadFrame returns the next frame, commands included. One of more than limit octets is
// refused before memory is taken for it, with an error that wraps [ErrTooLarge]. The body
// is valid until the next call of ReadFrame or Buffered. Errors are final and close the
// connection; they are those of [Conn.ReadFrame].
func (r *RawConn) ReadFrame(limit int64) (Frame, error) {
	c := r.conn
	h, err := c.in.header()
	if err == nil && h.size > limit {
		err = fmt.Errorf("frame of %d octets, at most %d are allowed: %w", h.size, limit, ErrTooLarge)
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

// Buffered tells that the next ReadFrame will not wait for the network.
func (r *RawConn) Buffered() bool { return r.conn.in.whole() }

// WriteFrames sends frames as they are, all of them in one system call; their bodies are
// not kept. An error closes the connection.
func (r *RawConn) WriteFrames(frames ...Frame) error {
	c := r.conn
	c.writing.Lock()
	defer c.writing.Unlock()
	b := newBatch()
	defer b.free()
	for _, f := range frames {
		b.add(f, true)
	}
	_, err := c.flush(b)
	return err
}

// Close closes the connection at once, also under a read or write that waits. Closing again
// does nothing. The error is always nil.
func (r *RawConn) Close() error { return r.conn.Close() }
