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

// conn is what zmq4 takes for a TCP connection to a peer of ZMTP 3.0 with NULL. What zmq4
// writes becomes messages for the real connection, what that receives is what zmq4 reads:
//
//	zmq4 reads                      zmq4 writes
//	a greeting                      a greeting, which goes nowhere
//	READY with the peer's metadata  READY, whose metadata is what the peer gets
//	frames                          frames
//
// As with any net.Conn one goroutine may read while another writes and a third closes it.
type conn struct {
	incoming incoming
	outgoing outgoing

	due        chan struct{}      // closed when zmq4's metadata is due
	properties chan zap.Metadata  // what zmq4's READY said
	done       chan struct{}      // closed when the handshake has ended and peer or err is set
	giveUp     context.CancelFunc // ends the handshake
	running    sync.WaitGroup

	mu     sync.Mutex
	peer   *zmtp.Conn // nil until the handshake has ended well
	err    error      // why it has not
	closed chan struct{}
}

// newConn returns a conn whose handshake is about to start. mark is the high-water mark
// of a PUB or XPUB.
func newConn(mark int, giveUp context.CancelFunc) *conn {
	c := &conn{
		due:        make(chan struct{}),
		properties: make(chan zap.Metadata, 1),
		done:       make(chan struct{}),
		giveUp:     giveUp,
		closed:     make(chan struct{}),
	}
	c.incoming.next = c.readGreeting
	c.outgoing.take = c.takeGreeting
	c.outgoing.mark = mark
	return c
}

// askProperties waits for zmq4's READY. The handshake asks for it when it is due.
func (c *conn) askProperties(ctx context.Context) (zap.Metadata, error) {
	close(c.due)
	select {
	case m := <-c.properties:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// finish takes how the handshake ended.
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

// opaque hides an io.EOF or a net.Error in err. zmq4 takes these for a connection that was
// lost and dials again, while it dials.
func opaque(err error) error {
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) {
		return errors.New(err.Error())
	}
	return err
}

// established waits for the end of the handshake and returns the real connection.
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

// Close closes the connection, gives up a handshake that is under way, and waits for the
// goroutines of the connection. What a PUB has queued is not sent any more.
func (c *conn) Close() error {
	c.mu.Lock()
	if !c.isClosed() {
		close(c.closed)
	}
	peer := c.peer
	c.mu.Unlock()
	c.giveUp()
	if peer != nil {
		peer.Close()
	}
	c.running.Wait()
	return nil
}

// LocalAddr is our transport address, nil during the handshake.
func (c *conn) LocalAddr() net.Addr { return c.address((*zmtp.Conn).LocalAddr) }

// RemoteAddr is the peer's transport address, nil during the handshake.
func (c *conn) RemoteAddr() net.Addr { return c.address((*zmtp.Conn).RemoteAddr) }

func (c *conn) address(of func(*zmtp.Conn) net.Addr) net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peer == nil {
		return nil
	}
	return of(c.peer)
}

// The deadlines of a connection are those of Options.

func (c *conn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (c *conn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (c *conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// nullGreeting is that of a ZMTP 3.0 peer with NULL (23/ZMTP).
const nullGreeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x00" + // signature, version
	"NULL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // mechanism
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // as-server, filler
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// keptBuffer is how large a buffer may have become and still be kept, in octets.
const keptBuffer = 64 << 10

// incoming is the reading goroutine's.
type incoming struct {
	next   func() error // puts the next octets into unread
	unread []byte
	buf    []byte
}

// Read returns what zmq4 is to see of the peer. An error of the handshake is that of
// zmtp.Client or zmtp.Server; afterwards every error is io.EOF, at which zmq4 drops the
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

// readReady waits for the handshake.
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

// canonical writes the names that zmq4 looks for as it spells them: names have no case in
// ZMTP, but they do in zmq4.
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
