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

// outgoing is the state of the writing side.
type outgoing struct {
	sync.Mutex
	consume       func(b []byte) (n int, err error) // handles the start of b; n is zero if b is incomplete
	buf           []byte
	consumed      int          // of buf
	message       zmtp.Message // the frames so far; they alias buf, or what buf was before it grew
	socket        zmtp.SocketType
	highWaterMark int
	queue         chan zmtp.Message // of a PUB or XPUB
}

var errReady = errors.New("zmq4transport: zmq4 did not send a READY with NULL: the socket must not have a zmq4.Security")

// Write accepts bytes of zmq4 in pieces of any size and sends every message once it is
// complete. After the handshake every error is io.EOF, which makes zmq4 drop the connection.
func (c *conn) Write(p []byte) (int, error) {
	out := &c.outgoing
	out.Lock()
	defer out.Unlock()
	if c.isClosed() {
		return 0, net.ErrClosed
	}
	out.buf = append(out.buf, p...)
	for {
		n, err := out.consume(out.buf[out.consumed:])
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		out.consumed += n
	}
	if len(out.message) == 0 {
		out.compact()
	}
	return len(p), nil
}

// compact drops the consumed bytes, and a buffer larger than keptBuffer.
func (o *outgoing) compact() {
	rest := o.buf[o.consumed:]
	if cap(o.buf) > keptBuffer && len(rest) < keptBuffer {
		o.buf = nil
	}
	o.buf = append(o.buf[:0], rest...)
	o.consumed = 0
}

// consumeGreeting checks that zmq4's greeting has NULL and drops it.
func (c *conn) consumeGreeting(b []byte) (int, error) {
	if len(b) < len(nullGreeting) {
		return 0, nil
	}
	if string(b[12:17]) != "NULL\x00" {
		return 0, errReady
	}
	c.outgoing.consume = c.consumeReady
	return len(nullGreeting), nil
}

// consumeReady passes zmq4's metadata to the handshake.
func (c *conn) consumeReady(b []byte) (int, error) {
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
		return 0, fmt.Errorf("zmq4transport: READY of zmq4: %w", err)
	}
	out := &c.outgoing
	out.socket = zmtp.SocketType(metadata.Get("Socket-Type"))
	if out.socket.Publishes() {
		out.queue = make(chan zmtp.Message, out.highWaterMark)
	}
	out.consume = c.consumeFrame
	c.properties <- metadata
	return n, nil
}

// consumeFrame collects the frames of a message and sends it once it is complete.
func (c *conn) consumeFrame(b []byte) (int, error) {
	f, n, err := zmtp.ParseFrame(b)
	if err != nil || n == 0 {
		return 0, err
	}
	if f.Command {
		return n, nil // PING or PONG: zmtp.Conn has its own
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

// send sends m, which is valid during the call only.
func (c *conn) send(m zmtp.Message) error {
	peer, err := c.established()
	if err != nil {
		return err
	}
	switch socket := c.outgoing.socket; {
	case socket.Publishes():
		c.enqueue(m)
	case socket.Subscribes():
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

// enqueue queues a copy of m for sendQueued, or drops it if the queue is full: a PUB does not
// wait for subscribers.
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

// maxBatch is the number of queued messages that are sent in one write.
const maxBatch = 100

// sendQueued sends the queued messages of a PUB, up to maxBatch in one write.
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
			return // Write has closed the connection, which Read reports
		}
		clear(batch)
	}
}
