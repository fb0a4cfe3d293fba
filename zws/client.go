package zws

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Client is one ZWS 2.0 connection, made by Dial: one socket without queues. It does not
// reconnect. One goroutine at a time may call Recv, which also answers pings, so somebody
// should be in it; all other methods may be called by any goroutine.
type Client struct {
	traffic
	ws *websocket.Conn

	received []byte // buffer of readFrame
	sent     []byte // buffer of writeFrame
}

// Renew sends another token on a session that logged in with zmtp.Bearer. The server's
// answer comes while Recv runs: a Notice with Renewed, or the end with CodeExpired.
func (c *Client) Renew(token string) error {
	return c.command(zmtp.Command{Name: "HELLO", Data: []byte(token)})
}

// CloseSend tells the server that nothing more comes. Recv goes on to return what the
// server has still sent, and then its answer, a *CloseError: CodeNormal if it had nothing
// against what it was sent. The connection is still to be closed.
func (c *Client) CloseSend() error {
	deadline := time.Now().Add(c.options.WriteTimeout)
	return c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
}

// Ping sends a WebSocket ping with at most 125 octets. The pong is seen by nobody but the
// network in between, which learns that the connection is in use.
func (c *Client) Ping(payload []byte) error {
	return c.ws.WriteControl(websocket.PingMessage, payload, time.Now().Add(c.options.WriteTimeout))
}

// NetConn is the connection below, for its addresses and its TLS state. Reading or writing
// it breaks the client.
func (c *Client) NetConn() net.Conn { return c.ws.NetConn() }

// Close tells the server and closes the connection.
func (c *Client) Close() error {
	_ = c.CloseSend() // the server may have gone first
	return c.ws.Close()
}

// writeFrame writes a frame as one WebSocket message. Lock held on entry.
func (c *Client) writeFrame(f zmtp.Frame) error {
	flag := octetFlags.flag(f.More)
	if f.Command {
		flag = flagCommand
	}
	c.sent = append(append(c.sent[:0], flag), f.Body...)
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
func (c *Client) readFrame() (zmtp.Frame, error) {
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return zmtp.Frame{}, clientReadError(err)
	}
	p, err := appendAll(c.received[:0], r)
	if c.received = p; cap(p) > keptScratch {
		c.received = nil
	}
	if err != nil {
		return zmtp.Frame{}, clientReadError(err)
	}
	if kind != websocket.BinaryMessage {
		return zmtp.Frame{}, fmt.Errorf("%w: text frame", zmtp.ErrProtocol)
	}
	return octetFlags.parse(p, c.options.Security != nil)
}

// clientReadError makes a *CloseError of what ends a connection.
func clientReadError(err error) error {
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		if closed.Code == websocket.CloseAbnormalClosure {
			return &CloseError{Code: CodeAbnormal, Err: io.ErrUnexpectedEOF}
		}
		return &CloseError{Code: Code(closed.Code), Reason: closed.Text}
	}
	return &CloseError{Code: CodeAbnormal, Err: err}
}
