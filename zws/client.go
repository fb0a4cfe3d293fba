package zws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Client is one ZWS 2.0 connection, made by Dial: one socket without queues. It does not
// reconnect. One goroutine at a time may call Recv, which also answers pings, so somebody
// should be in it; all other methods may be called by any goroutine.
type Client struct {
	ws        *websocket.Conn
	options   *DialOptions
	mechanism zmtp.Mechanism // nil on bare ZWS2.0
	peer      *zmtp.Peer

	received []byte // buffer of readFrame

	writing sync.Mutex // also orders what mechanism encodes
	sent    []byte     // buffer of writeFrame
}

// Peer is what the server told of itself.
func (c *Client) Peer() *zmtp.Peer { return c.peer }

// Send writes one message and returns when the system has taken it, at most
// DialOptions.WriteTimeout later. Its frames are not kept.
func (c *Client) Send(m zmtp.Message) error {
	if len(m) == 0 {
		return errors.New("zws: a message has at least one frame")
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	for i, body := range m {
		if err := c.writeTraffic(zmtp.Frame{More: i < len(m)-1, Body: body}); err != nil {
			return err
		}
	}
	return nil
}

// Subscribe asks for the messages that begin with any of the topics.
func (c *Client) Subscribe(topics ...[]byte) error { return c.subscriptions(1, topics) }

// Unsubscribe takes back what Subscribe asked for with the same topics.
func (c *Client) Unsubscribe(topics ...[]byte) error { return c.subscriptions(0, topics) }

func (c *Client) subscriptions(first byte, topics [][]byte) error {
	for _, topic := range topics {
		if err := c.Send(subscription(first, topic)); err != nil {
			return err
		}
	}
	return nil
}

// Renew sends another token on a session that logged in with zmtp.Bearer. The server's
// answer comes while Recv runs: a Notice with Renewed, or the end with CodeExpired.
func (c *Client) Renew(token string) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	hello := zmtp.Command{Name: "HELLO", Data: []byte(token)}
	return c.writeTraffic(zmtp.Frame{Command: true, Body: hello.Append(nil)})
}

// Recv returns the next message, which is the caller's. When the server closes, the error
// is a *CloseError.
func (c *Client) Recv() (zmtp.Message, error) {
	var m zmtp.Message
	size := int64(0)
	for {
		f, err := c.readFrame()
		if err != nil {
			return nil, err
		}
		if c.mechanism != nil {
			if f, err = c.mechanism.Decode(f); err != nil {
				return nil, err
			}
		}
		if f.Command {
			if err := c.command(f.Body); err != nil {
				return nil, err
			}
			continue
		}
		if size += int64(len(f.Body)); size > c.options.MaxMessage || len(m) == c.options.MaxFrames {
			return nil, fmt.Errorf("zws: %w: message of more than %d octets or %d frames", zmtp.ErrTooLarge, c.options.MaxMessage, c.options.MaxFrames)
		}
		m = append(m, append([]byte{}, f.Body...))
		if !f.More {
			return m, nil
		}
	}
}

// command turns a notice into a call; other commands are ignored.
func (c *Client) command(body []byte) error {
	command, err := zmtp.ParseCommand(body)
	if err != nil || c.options.Notice == nil {
		return err
	}
	switch data := command.Data; {
	case command.Name == "LOST" && len(data) == 8:
		c.options.Notice(Notice{Lost: binary.BigEndian.Uint64(data)})
	case command.Name == "EXPIRING" && len(data) == 4:
		c.options.Notice(Notice{Expiring: time.Duration(binary.BigEndian.Uint32(data)) * time.Second})
	case command.Name == "UNSUBSCRIBED":
		c.options.Notice(Notice{Unsubscribed: append([]byte{}, data...)})
	case command.Name == "WELCOME":
		c.options.Notice(Notice{Renewed: true})
	}
	return nil
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

// write writes a frame of the handshake.
func (c *Client) write(f zmtp.Frame) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.writeFrame(f)
}

// writeTraffic encodes and writes a frame. Lock held on entry.
func (c *Client) writeTraffic(f zmtp.Frame) error {
	if c.mechanism != nil {
		var err error
		if f, err = c.mechanism.Encode(f); err != nil {
			return err
		}
	}
	return c.writeFrame(f)
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
