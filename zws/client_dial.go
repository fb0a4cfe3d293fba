package zws

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// DialOptions configure [Dial].
type DialOptions struct {
	// Security is the mechanism and its credentials: zmtp.Null, Plain, Bearer or Curve. Nil
	// means bare ZWS2.0, without a mechanism; credentials can then go into Header.
	Security zmtp.ClientSecurity
	// Alias offers the subprotocol with "+" instead of "/", as browsers must.
	Alias bool
	// SocketType is the client's. Required, although bare ZWS2.0 does not send it.
	SocketType zmtp.SocketType
	// RoutingID is the client's, 0 to 255 bytes.
	RoutingID []byte
	// Metadata are further properties for READY or INITIATE.
	Metadata zap.Metadata
	// Notify, if not nil, asks the server for notifications and is called with each, by the
	// goroutine that is in Recv. Nothing is read while it runs.
	Notify func(Notification)

	// History asks for the positions of messages and for what the server has kept: see
	// Client.Resume and SubscribeLast. It needs a mechanism. A server without a history ignores
	// it.
	History bool
	// Queue, if not nil, is the name of a queue of the user, at most MaxQueueName bytes, and
	// implies History: the server keeps messages that the client has not acknowledged, and sends
	// them first. The client acknowledges by itself, see Client.Ack.
	Queue *string

	// Header is sent with the HTTP request: Authorization, Cookie, Origin.
	Header http.Header
	// TLS is for wss; nil means the system's roots and no client certificate.
	TLS *tls.Config
	// NetDial connects to an address "host:port"; nil means TCP.
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)

	// MaxMessage limits a received message, all its frames together, in bytes. 0 means
	// DefaultMaxMessage.
	MaxMessage int64
	// MaxFrames limits the frames of a received message. 0 means DefaultMaxFrames.
	MaxFrames int
	// HandshakeTimeout limits Dial as a whole. 0 means DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration
	// WriteTimeout limits one write. 0 means DefaultWriteTimeout.
	WriteTimeout time.Duration
}

// Notification is what a server tells a client outside of messages, if the client asked for
// it. One of Lost, Expiring, Renewed, Unsubscribed, Resumed and Live is set.
type Notification struct {
	// Lost is how many messages were dropped for this client since the last notification.
	Lost uint64
	// Expiring is how long the login still lasts, in whole seconds.
	Expiring time.Duration
	// Renewed is set when the token of a renewal was accepted.
	Renewed bool
	// Unsubscribed is the topic of a subscription that the server has dropped because the
	// login no longer allows it; not nil, but possibly empty. Messages that follow are not
	// there because of that subscription; a MuxChannel can hold earlier ones. Subscribing
	// again without the right to do so ends the connection.
	Unsubscribed []byte
	// Resumed is set when what was missed begins to arrive: the answer to Resume, or to the name
	// of a queue.
	Resumed *Resumed
	// Live is set when all that was missed has arrived. The server may repeat it, to tell that
	// the client has everything. A MuxChannel can still hold messages from before.
	Live bool
	// Channel is the one that Lost, Unsubscribed, Resumed or Live is about; nil on a Client.
	Channel *MuxChannel
}

// ErrUpgrade is wrapped by errors of Dial about a server that did not answer the HTTP
// request with 101 and the subprotocol that was offered.
var ErrUpgrade = errors.New("not a ZWS server")

// Dial connects to a ws:// or wss:// URL, logs in and returns when the server has sent
// READY; on bare ZWS2.0, its routing id. If the server refuses, the error is a *CloseError
// with the code and the reason of its close frame and the status of its ERROR, as far as it
// sent them. The caller closes the client.
func Dial(ctx context.Context, rawURL string, o DialOptions) (*Client, error) {
	if err := o.complete(rawURL); err != nil {
		return nil, err
	}
	if o.history() && o.Security == nil {
		return nil, errors.New("zws: history needs a mechanism: set Security")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.HandshakeTimeout, zmtp.ErrHandshakeTimeout)
	defer cancel()
	ws, err := o.upgrade(ctx, rawURL, o.subprotocol())
	if err != nil {
		return nil, err
	}
	c := &Client{clientSocket: newClientSocket(&o), ws: ws}
	c.read, c.write, c.hangUp = c.readFrame, c.writeFrame, ws.Close
	c.clientHistory = c.history
	c.history.queue, c.history.plain = o.Queue != nil, c.Subscribe
	c.history.send = func(ctx context.Context, r *HistoryRequest) error { return c.sendCommand(ctx, r.command()) }
	ws.SetReadLimit(o.MaxMessage + frameOverhead)
	stop := context.AfterFunc(ctx, func() { ws.NetConn().Close() })
	defer stop()
	if err := c.login(ctx); err != nil {
		ws.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("zws: %w", context.Cause(ctx))
		}
		return nil, err
	}
	return c, nil
}

// complete checks o and replaces zero values by the defaults.
func (o *DialOptions) complete(rawURL string) error {
	o.MaxMessage = cmp.Or(o.MaxMessage, DefaultMaxMessage)
	o.MaxFrames = cmp.Or(o.MaxFrames, DefaultMaxFrames)
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, DefaultHandshakeTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, DefaultWriteTimeout)
	switch u, err := url.Parse(rawURL); {
	case err != nil:
		return fmt.Errorf("zws: %w", err)
	case u.Scheme != "ws" && u.Scheme != "wss":
		return fmt.Errorf("zws: unknown URL scheme %q (one of ws, wss)", u.Scheme)
	case !o.SocketType.Valid():
		return fmt.Errorf("zws: unknown socket type %q", o.SocketType)
	case len(o.RoutingID) > MaxRoutingID:
		return fmt.Errorf("zws: routing id of %d bytes: at most %d are allowed", len(o.RoutingID), MaxRoutingID)
	case o.Queue != nil && len(*o.Queue) > MaxQueueName:
		return fmt.Errorf("zws: queue name of %d bytes: at most %d are allowed", len(*o.Queue), MaxQueueName)
	}
	return nil
}

// history reports whether the client asks for history.
func (o *DialOptions) history() bool { return o.History || o.Queue != nil }

// subprotocol returns the name that is offered.
func (o *DialOptions) subprotocol() string {
	if o.Security == nil {
		return "ZWS2.0"
	}
	separator := "/"
	if o.Alias {
		separator = "+"
	}
	return "ZWS2.0" + separator + string(o.Security.Name())
}

// upgrade connects and opens the WebSocket with the subprotocol name.
func (o *DialOptions) upgrade(ctx context.Context, rawURL, name string) (*websocket.Conn, error) {
	limit := newHeadLimit(o.NetDial)
	dialer := websocket.Dialer{
		NetDialContext:  limit.dial,
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: o.TLS,
		Subprotocols:    []string{name},
	}
	ws, answer, err := dialer.DialContext(limit.trace(ctx), rawURL, o.Header)
	switch {
	case limit.end():
		return nil, fmt.Errorf("zws: %w: its answer is longer than %d bytes", ErrUpgrade, maxHead)
	case err != nil && answer != nil:
		return nil, fmt.Errorf("zws: %w: it answered HTTP %.64q", ErrUpgrade, answer.Status)
	case isTimeout(err): // the connection may notice before the context does
		return nil, fmt.Errorf("zws: %w: %w", zmtp.ErrHandshakeTimeout, err)
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("zws: %w: %w", context.Cause(ctx), err)
	case err != nil:
		return nil, fmt.Errorf("zws: %w", err)
	case ws.Subprotocol() != name:
		got := ws.Subprotocol()
		ws.Close()
		return nil, fmt.Errorf("zws: %w: %s was offered, %.32q was answered", ErrUpgrade, name, got)
	}
	return ws, nil
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// local returns the metadata of the client.
func (o *DialOptions) local() zap.Metadata {
	m := zap.Metadata{{Name: "Socket-Type", Value: string(o.SocketType)}}
	if len(o.RoutingID) > 0 {
		m = append(m, zap.Property{Name: "Identity", Value: string(o.RoutingID)})
	}
	if o.Notify != nil {
		m = append(m, zap.Property{Name: "Notices", Value: "1"})
	}
	if o.history() {
		m = append(m, zap.Property{Name: historyProperty, Value: "1"})
	}
	if o.Queue != nil {
		m = append(m, zap.Property{Name: queueProperty, Value: *o.Queue})
	}
	return append(m, o.Metadata...)
}

// login is the client side of the first-message rules: the handshake of the mechanism, or
// the exchange of routing ids.
func (c *Client) login(ctx context.Context) error {
	if c.options.Security != nil {
		return c.clientSocket.login(ctx)
	}
	if err := c.writeLocked(ctx, zmtp.Frame{Body: c.options.RoutingID}); err != nil {
		return err
	}
	f, err := c.readFrame(ctx)
	c.peer = &zmtp.Peer{Metadata: zap.Metadata{{Name: "Identity", Value: string(f.Body)}}}
	return err
}
