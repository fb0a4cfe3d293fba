package accept

import (
	"container/list"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// place is where a [Gate] counts a connection.
type place int

const (
	gone   place = iota
	within       // the limits
	beyond       // them, to be told so
)

// Conn is a connection that a [Gate] has accepted. Close ends it and gives its place back.
type Conn struct {
	*net.TCPConn
	gate *Gate
	peer netip.Addr
	// timed is set while the program has set a write deadline, which then is all that counts.
	timed atomic.Bool

	// The gate's lock guards these.
	place   place
	network netip.Addr    // the zero Addr for a connection of a proxy
	from    netip.Addr    // the client's own address, of which network is the part that counts
	crowded Reason        // set if it had to give way to a client with fewer connections
	guest   *list.Element // in Gate.guests
	idle    *list.Element // in Gate.idle
}

// afterTimeout is called when a write has timed out and goes on. Tests replace it.
var afterTimeout = func() {}

// errStalled is returned by a write whose client takes nothing.
var errStalled = errors.New("accept: the client reads nothing")

// Close closes the connection. It may be called more than once.
func (c *Conn) Close() error {
	err := c.TCPConn.Close()
	c.gate.leave(c)
	return err
}

// Socket returns the TCP connection, for reads and for writes that do not wait.
func (c *Conn) Socket() *net.TCPConn { return c.TCPConn }

// SetDeadline sets the deadlines of reads and writes; see SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	c.timed.Store(!t.IsZero())
	return c.TCPConn.SetDeadline(t)
}

// SetWriteDeadline sets the deadline of writes. The zero Time means Limits.WriteTimeout without
// progress.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.timed.Store(!t.IsZero())
	return c.TCPConn.SetWriteDeadline(t)
}

// Write writes p. Without a deadline it waits for a client that reads slowly, however long p
// is, and closes the connection of one that takes nothing for Limits.WriteTimeout.
func (c *Conn) Write(p []byte) (written int, err error) {
	if c.timed.Load() {
		return c.TCPConn.Write(p)
	}
	timeout := c.gate.writeTimeout()
	if timeout <= 0 {
		return c.TCPConn.Write(p)
	}
	waiting := c.unacknowledged()
	for {
		c.TCPConn.SetWriteDeadline(time.Now().Add(timeout))
		n, err := c.TCPConn.Write(p[written:])
		written += n
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.timed.Load() {
			return written, err
		}
		taken := n // what the client has read, or if that is unknown, what the kernel has
		if left := c.unacknowledged(); left >= 0 && waiting >= 0 {
			taken, waiting = waiting+n-left, left
		}
		if taken <= 0 {
			return written, c.stalled()
		}
		afterTimeout()
	}
}

// stalled closes a connection, and lets the kernel drop what it still has for the client.
func (c *Conn) stalled() error {
	_ = c.SetLinger(0)
	_ = c.Close()
	c.gate.o.Metrics.Stalled()
	return errStalled
}

// ReadFrom implements io.ReaderFrom by Write: sendfile has no deadline that a slow client
// extends.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

func (g *Gate) writeTimeout() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits.WriteTimeout
}
