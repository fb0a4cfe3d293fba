package zmq4transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// conn looks to zmq4 like a TCP connection to a ZMTP 3.0 peer with NULL. It translates to and
// from a zmtp.Conn:
//
//	zmq4 reads                      zmq4 writes
//	a greeting                      a greeting, which is dropped
//	READY with the peer's metadata  READY, whose metadata is sent to the peer
//	frames                          frames
//
// As with any net.Conn, one goroutine may read while another writes and a third closes it.
type conn struct {
	incoming incoming
	outgoing outgoing

	due        chan struct{}      // closed when the handshake needs zmq4's metadata
	properties chan zap.Metadata  // the metadata of zmq4's READY
	done       chan struct{}      // closed when the handshake has ended and peer or err is set
	cancel     context.CancelFunc // ends the handshake
	running    sync.WaitGroup

	mu     sync.Mutex
	peer   *zmtp.Conn // nil until the handshake is complete
	err    error      // why the handshake failed
	closed chan struct{}
}

// newConn returns a conn whose handshake has not started. highWaterMark is that of a PUB or
// XPUB; cancel ends the handshake.
func newConn(highWaterMark int, cancel context.CancelFunc) *conn {
	c := &conn{
		due:        make(chan struct{}),
		properties: make(chan zap.Metadata, 1),
		done:       make(chan struct{}),
		cancel:     cancel,
		closed:     make(chan struct{}),
	}
	c.incoming.next = c.readGreeting
	c.outgoing.consume = c.consumeGreeting
	c.outgoing.highWaterMark = highWaterMark
	return c
}

// waitToDial is the zmtp.Options.Properties of a connection that was dialled.
func (c *conn) waitToDial(ctx context.Context) (zap.Metadata, error) {
	m, err := c.waitProperties(ctx)
	return append(m, zap.Property{Name: zmtp.ExplainProperty, Value: "1"}), err
}

// waitProperties is the zmtp.Options.Properties of the connection: it waits for zmq4's READY.
func (c *conn) waitProperties(ctx context.Context) (zap.Metadata, error) {
	close(c.due)
	select {
	case m := <-c.properties:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// finish stores the result of the handshake.
func (c *conn) finish(peer *zmtp.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peer, c.err = peer, opaque(err)
	close(c.done)
	switch {
	case peer == nil:
	case c.isClosed():
		peer.Close()
	case c.outgoing.queue != nil:
		c.running.Go(c.sendQueued)
	}
}

// opaque hides an io.EOF or a net.Error in err. zmq4 would take it for a lost connection and
// reconnect while it still dials.
func opaque(err error) error {
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) {
		return errors.New(err.Error())
	}
	return err
}

// established waits for the end of the handshake and returns the connection to the peer.
func (c *conn) established() (*zmtp.Conn, error) {
	select {
	case <-c.done:
		return c.peer, c.err
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

func (c *conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// Close closes the connection, cancels a handshake in progress, and waits for the goroutines
// of the connection. Messages that a PUB has queued are dropped.
func (c *conn) Close() error {
	c.mu.Lock()
	if !c.isClosed() {
		close(c.closed)
	}
	peer := c.peer
	c.mu.Unlock()
	c.cancel()
	if peer != nil {
		peer.Close()
	}
	c.running.Wait()
	return nil
}

// LocalAddr returns the transport address of this side, nil during the handshake.
func (c *conn) LocalAddr() net.Addr { return c.address((*zmtp.Conn).LocalAddr) }

// RemoteAddr returns the transport address of the peer, nil during the handshake.
func (c *conn) RemoteAddr() net.Addr { return c.address((*zmtp.Conn).RemoteAddr) }

func (c *conn) address(of func(*zmtp.Conn) net.Addr) net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peer == nil {
		return nil
	}
	return of(c.peer)
}

// Deadlines are not supported: zmtp.Options sets them.

func (c *conn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (c *conn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (c *conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// nullGreeting is the greeting of a ZMTP 3.0 peer with NULL (23/ZMTP).
const nullGreeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x00" + // signature, version
	"NULL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // mechanism
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // as-server, filler
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// keptBuffer is the largest buffer, in bytes, that is kept for the next frame.
const keptBuffer = 64 << 10

// incoming is the state of the reading goroutine.
type incoming struct {
	next   func() error // stores the next bytes in unread
	unread []byte
	buf    []byte
}

// Read reads the translation of what the peer sends. During the handshake errors are those of
// zmtp.Client or zmtp.Server. Afterwards every error is io.EOF, which makes zmq4 drop the
// connection.
func (c *conn) Read(p []byte) (int, error) {
	in := &c.incoming
	for len(in.unread) == 0 {
		if err := in.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.unread)
	in.unread = in.unread[n:]
	return n, nil
}

func (c *conn) readGreeting() error {
	c.incoming.unread = []byte(nullGreeting)
	c.incoming.next = c.readReady
	return nil
}

// readReady waits for the handshake and makes a READY of the peer's metadata.
func (c *conn) readReady() error {
	peer, err := c.established()
	if err != nil {
		return err
	}
	ready := zmtp.Command{Name: "READY", Data: canonical(peer.Peer().Metadata).Append(nil)}
	c.incoming.unread = zmtp.AppendFrame(nil, zmtp.Frame{Command: true, Body: ready.Append(nil)})
	c.incoming.next = c.readFrame
	return nil
}

// canonical spells the names of properties as zmq4 does, which compares them exactly. In ZMTP
// they are case-insensitive.
func canonical(m zap.Metadata) zap.Metadata {
	out := make(zap.Metadata, len(m))
	for i, p := range m {
		for _, name := range []string{"Socket-Type", "Identity"} {
			if strings.EqualFold(p.Name, name) {
				p.Name = name
			}
		}
		out[i] = p
	}
	return out
}

func (c *conn) readFrame() error {
	in := &c.incoming
	f, err := c.peer.ReadFrame()
	if err != nil {
		return io.EOF
	}
	if cap(in.buf) > keptBuffer {
		in.buf = nil
	}
	in.buf = zmtp.AppendFrame(in.buf[:0], f)
	in.unread = in.buf
	return nil
}
