package zws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Socket is what [Client], [MuxChannel] and [MuxRelay] have in common: one ZeroMQ socket of
// a client.
type Socket interface {
	// Send sends one message, whose frames are not kept. It waits for credit and for other
	// calls until ctx ends; a write that has begun goes on, for at most
	// DialOptions.WriteTimeout.
	Send(ctx context.Context, m zmtp.Message) error
	// Recv returns the next message, which the caller owns. It waits until ctx ends. When
	// the server closes, the error is a *CloseError. One goroutine at a time may call it.
	Recv(ctx context.Context) (zmtp.Message, error)
	// Subscribe asks for the messages that begin with any of the topics. It waits as Send
	// does.
	Subscribe(ctx context.Context, topics ...[]byte) error
	// Unsubscribe ends subscriptions to the same topics. It waits as Send does.
	Unsubscribe(ctx context.Context, topics ...[]byte) error
	// Close tells the server and closes the socket.
	Close() error
}

var (
	_ Socket = (*Client)(nil)
	_ Socket = (*MuxChannel)(nil)
	_ Socket = (*MuxRelay)(nil)
)

// Client is one ZWS 2.0 connection, which Dial makes: one socket without queues. It does not
// reconnect. One goroutine at a time may call Recv, which also answers pings, so a goroutine
// should always be in it; all other methods may be called by any goroutine.
type Client struct {
	clientSocket
	ws *websocket.Conn

	*clientHistory

	received []byte // buffer of readFrame
	sent     []byte // buffer of writeFrame
	patience patience
}

// Recv returns the next message, which the caller owns; for PUB and XPUB that can be a
// subscription, see zmtp.ParseSubscription. When the server closes, the error is a
// *CloseError. If ctx ends while Recv waits, the client is closed, because it can be in the
// middle of a frame.
func (c *Client) Recv(ctx context.Context) (zmtp.Message, error) {
	if ctx.Done() == nil {
		return c.clientSocket.Recv(ctx)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	m, err := c.clientSocket.Recv(ctx)
	if !stop() && err != nil {
		return nil, context.Cause(ctx)
	}
	return m, err
}

// Renew sends another token for a login with zmtp.Bearer. The server's answer arrives while
// Recv runs: a Notification with Renewed, or the end with CodeExpired.
func (c *Client) Renew(ctx context.Context, token string) error {
	return c.sendCommand(ctx, zmtp.Command{Name: "HELLO", Data: []byte(token)})
}

// CloseSend tells the server that nothing more comes. Recv continues to return what the
// server has still sent, and then its answer, a *CloseError: CodeNormal if it accepted
// everything. The client must still be closed. It waits at most DialOptions.WriteTimeout.
func (c *Client) CloseSend() error {
	return sendClose(c.ws, c.options)
}

func sendClose(ws *websocket.Conn, o *DialOptions) error {
	payload := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	return ws.WriteControl(websocket.CloseMessage, payload, time.Now().Add(o.WriteTimeout))
}

// Ping sends a WebSocket ping with at most 125 bytes. The pong is not reported: a ping only
// shows proxies on the way that the connection is in use. It waits at most
// DialOptions.WriteTimeout.
func (c *Client) Ping(payload []byte) error {
	return c.ws.WriteControl(websocket.PingMessage, payload, time.Now().Add(c.options.WriteTimeout))
}

// NetConn returns the connection below, for its addresses and its TLS state. Reading from it
// or writing to it breaks the client.
func (c *Client) NetConn() net.Conn { return c.ws.NetConn() }

// Close tells the server and closes the connection. What was sent and has not reached the server is lost if
// it sends something at the same time; CloseSend, and Recv until its answer, makes sure of it.
func (c *Client) Close() error {
	c.history.stop()
	_ = c.CloseSend() // the server may have closed first
	return c.ws.Close()
}

// writeFrame writes a frame as one WebSocket message. Lock held on entry.
func (c *Client) writeFrame(_ context.Context, f zmtp.Frame) error {
	c.sent = append(append(c.sent[:0], zwsFrames.flag(f)), f.Body...)
	c.ws.SetWriteDeadline(time.Now().Add(c.options.WriteTimeout))
	err := c.ws.WriteMessage(websocket.BinaryMessage, c.sent)
	if cap(c.sent) > keptScratch {
		c.sent = nil
	}
	if err != nil {
		return fmt.Errorf("zws: %w", err)
	}
	return nil
}

// readFrame reads one WebSocket message. The body is valid until the next call.
func (c *Client) readFrame(context.Context) (zmtp.Frame, error) {
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return zmtp.Frame{}, clientReadError(err)
	}
	c.patience.begin(c.ws, c.options)
	p, err := appendAll(c.received[:0], r, nil, math.MaxInt64)
	err = c.patience.end(err)
	if c.received = p; cap(p) > keptScratch {
		c.received = nil
	}
	if err != nil {
		return zmtp.Frame{}, clientReadError(err)
	}
	if kind != websocket.BinaryMessage {
		return zmtp.Frame{}, fmt.Errorf("%w: text frame", zmtp.ErrProtocol)
	}
	return zwsFrames.parse(p, c.options.Security != nil)
}

// clientReadError makes a *CloseError of an error that ends a connection.
func clientReadError(err error) error {
	if late, ok := errors.AsType[*CloseError](err); ok {
		return late
	}
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		if closed.Code == websocket.CloseAbnormalClosure {
			return &CloseError{Code: CodeAbnormal, Err: io.ErrUnexpectedEOF}
		}
		return receivedClose(Code(closed.Code), closed.Text)
	}
	return &CloseError{Code: CodeAbnormal, Err: err}
}
