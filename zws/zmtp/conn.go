package zmtp

import (
	"context"
	"errors"
	"net"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Conn is a ZMTP connection whose handshake is done. One goroutine at a time may read
// (ReadFrame, ReadMessage, Buffered); any may call the other methods at any time. Whoever
// made the Conn closes it.
type Conn struct {
	nc net.Conn
}

// Client completes the client side of a handshake on nc, which it owns from then on, also
// when it fails. Errors are those of [Dial] without ErrUnreachable.
func Client(ctx context.Context, nc net.Conn, sec ClientSecurity, o Options) (*Conn, error) {
	return nil, errors.New("zmtp: not connected")
}

// Server completes the server side of mechanism m on nc, which it owns from then on, also
// when it fails. It fills sec.Address, unless that is set, from nc's remote address, and
// sec.Local from o. Errors are those of [Client]; a *RefusedError is the decision of
// sec.Handler.
func Server(ctx context.Context, nc net.Conn, m zap.Mechanism, sec ServerSecurity, o Options) (*Conn, error) {
	return nil, errors.New("zmtp: not connected")
}

// ReadFrame returns the next frame of a message. Its body is valid until the next call of
// ReadFrame, ReadMessage or Buffered, and may be overwritten until then. Commands never
// come out: PING is answered, SUBSCRIBE and CANCEL are turned into the message frames
// 01+topic and 00+topic that ZMTP 3.0 has for them, unknown ones are ignored.
//
// Errors are final. io.EOF means that the peer closed the connection between two
// messages; ErrTooLarge, ErrProtocol and ErrSilent are wrapped; a *RefusedError is an
// ERROR command of the peer.
func (c *Conn) ReadFrame() (Frame, error) { return Frame{}, errors.New("zmtp: closed") }

// ReadMessage returns the next message, which the caller owns. Errors are those of
// ReadFrame.
func (c *Conn) ReadMessage() (Message, error) { return nil, errors.New("zmtp: closed") }

// Buffered tells that the next ReadFrame will not wait for the network: a whole frame of
// a message, or an error, is at hand. Commands that stand before it are dealt with.
func (c *Conn) Buffered() bool { return false }

// Write sends messages, all of them in one system call. It may be called by several
// goroutines; the messages of one call stay together. What msgs hold is not kept. After
// an error the connection is closed; a peer may or may not have got the messages.
func (c *Conn) Write(msgs ...Message) error { return errors.New("zmtp: closed") }

// Subscribe asks a PUB or XPUB peer for messages whose first frame begins with one of
// topics, in the form that the peer's version understands.
func (c *Conn) Subscribe(topics ...[]byte) error { return errors.New("zmtp: closed") }

// Cancel takes subscriptions back.
func (c *Conn) Cancel(topics ...[]byte) error { return errors.New("zmtp: closed") }

// Peer tells who is at the other end. Callers must not change it.
func (c *Conn) Peer() *Peer { return nil }

// RemoteAddr is the transport address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return nil }

// LocalAddr is our transport address.
func (c *Conn) LocalAddr() net.Addr { return nil }

// Close closes the connection at once, also under a Read or Write that waits, which then
// fail with net.ErrClosed. Closing again does nothing.
func (c *Conn) Close() error { return nil }
