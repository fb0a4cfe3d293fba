package zmq4transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// outgoing is the writing side's.
type outgoing struct {
	sync.Mutex
	take    func(b []byte) (n int, err error) // takes what b begins with; zero if b is a part of it only
	buf     []byte
	taken   int          // of buf
	message zmtp.Message // its frames so far; they alias buf, or what buf was before it grew
	socket  zmtp.SocketType
	mark    int
	queue   chan zmtp.Message // of a PUB or XPUB
}

var errReady = errors.New("zmq4transport: zmq4 sent something else than its READY: it must have no zmq4.Security")

// Write takes what zmq4 sends: a header and a body at a time, or many. A message goes out
// when it is whole. After the handshake every error is io.EOF, at which zmq4 drops the
// connection.
func (c *conn) Write(p []byte) (int, error) {
	out := &c.outgoing
	out.Lock()
	defer out.Unlock()
	if c.isClosed() {
		return 0, net.ErrClosed
	}
	out.buf = append(out.buf, p...)
	for {
		n, err := out.take(out.buf[out.taken:])
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		out.taken += n
	}
	if len(out.message) == 0 {
		out.compact()
	}
	return len(p), nil
}

// compact drops what is taken from the buffer, and a buffer that has become too large.
func (o *outgoing) compact() {
	rest := o.buf[o.taken:]
	if cap(o.buf) > keptBuffer && len(rest) < keptBuffer {
		o.buf = nil
	}
	o.buf = append(o.buf[:0], rest...)
	o.taken = 0
}

// takeGreeting takes zmq4's greeting, which tells nothing.
func (c *conn) takeGreeting(b []byte) (int, error) {
	if len(b) < len(nullGreeting) {
		return 0, nil
	}
	if string(b[12:17]) != "NULL\x00" {
		return 0, errReady
	}
	c.outgoing.take = c.takeReady
	return len(nullGreeting), nil
}

// takeReady passes zmq4's metadata on to the handshake.
func (c *conn) takeReady(b []byte) (int, error) {
	f, n, err := zmtp.ParseFrame(b)
	if err != nil || n == 0 {
		return 0, err
	}
	command, err := zmtp.ParseCommand(f.Body)
	if err != nil || !f.Command || command.Name != "READY" {
		return 0, errReady
	}
	metadata, err := zap.ParseMetadata(command.Data)
	if err != nil {
		return 0, fmt.Errorf("zmq4transport: zmq4's own READY: %w", err)
	}
	out := &c.outgoing
	out.socket = zmtp.SocketType(metadata.Get("Socket-Type"))
	if out.socket == zmtp.PUB || out.socket == zmtp.XPUB {
		out.queue = make(chan zmtp.Message, out.mark)
	}
	out.take = c.takeFrame
	c.properties <- metadata
	return n, nil
}

// takeFrame collects the frames of a message and sends it when it is whole.
func (c *conn) takeFrame(b []byte) (int, error) {
	f, n, err := zmtp.ParseFrame(b)
	if err != nil || n == 0 {
		return 0, err
	}
	if f.Command {
		return n, nil // zmq4 has no other than PING and PONG, which are the real connection's
	}
	out := &c.outgoing
	out.message = append(out.message, f.Body)
	if f.More {
		return n, nil
	}
	err = c.send(out.message)
	clear(out.message)
	out.message = out.message[:0]
	return n, err
}

// send passes a message on, which is valid during the call.
func (c *conn) send(m zmtp.Message) error {
	peer, err := c.established()
	if err != nil {
		return err
	}
	switch c.outgoing.socket {
	case zmtp.PUB, zmtp.XPUB:
		c.enqueue(m)
	case zmtp.SUB, zmtp.XSUB:
		err = subscribe(peer, m)
	default:
		err = peer.Write(m)
	}
	if err != nil {
		return io.EOF
	}
	return nil
}

// subscribe sends a message of ZMTP 3.0 in the form that the peer's version expects.
func subscribe(peer *zmtp.Conn, m zmtp.Message) error {
	if s, ok := zmtp.ParseSubscription(m); ok {
		return peer.WriteSubscriptions(s)
	}
	return peer.Write(m)
}

// enqueue leaves a copy of m for sendQueued, or drops it: a PUB waits for no subscriber.
func (c *conn) enqueue(m zmtp.Message) {
	owned := make(zmtp.Message, len(m))
	for i, f := range m {
		owned[i] = bytes.Clone(f)
	}
	select {
	case c.outgoing.queue <- owned:
	default:
	}
}

// maxBatch is how many queued messages go out in one write.
const maxBatch = 100

// sendQueued sends what a PUB has queued, as much as there is in one write.
func (c *conn) sendQueued() {
	batch := make([]zmtp.Message, 0, maxBatch)
	for {
		select {
		case m := <-c.outgoing.queue:
			batch = append(batch[:0], m)
		case <-c.closed:
			return
		}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case m := <-c.outgoing.queue:
				batch = append(batch, m)
			default:
				more = false
			}
		}
		if c.peer.Write(batch...) != nil {
			return // the connection is closed, as the reader finds out
		}
		clear(batch)
	}
}
