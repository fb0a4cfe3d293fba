package zws

import (
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

// DialOptions says how [Dial] connects.
type DialOptions struct {
	// Security is the credentials: zmtp.Null, Plain, Bearer or Curve. Nil means bare
	// ZWS2.0, without a mechanism; credentials may then go into Header.
	Security zmtp.ClientSecurity
	// Alias offers the subprotocol with "+" for "/", as a browser has to.
	Alias bool
	// SocketType is ours. Required, though bare ZWS2.0 does not tell it.
	SocketType zmtp.SocketType
	// RoutingID is what we call ourselves, 0 to 255 octets.
	RoutingID []byte
	// Metadata is further properties for READY or INITIATE.
	Metadata zap.Metadata
	// Notice, if not nil, asks the server for notices and is called with each, by the
	// goroutine that is in Recv. Nothing is read while it runs.
	Notice func(Notice)

	// Header is sent with the HTTP request: Authorization, Cookie, Origin.
	Header http.Header
	// TLS is for wss; nil means the system's roots and no client certificate.
	TLS *tls.Config
	// NetDial connects to an address "host:port"; nil means TCP.
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)

	// MaxMessage limits a received message, all its frames together, in octets. 0 means
	// DefaultMaxMessage.
	MaxMessage int64
	// MaxFrames limits the frames of a received message. 0 means DefaultMaxFrames.
	MaxFrames int
	// HandshakeTimeout is for all that Dial does. 0 means DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration
	// WriteTimeout is for one Send. 0 means DefaultWriteTimeout.
	WriteTimeout time.Duration
}

// Notice is what a server tells a client that asked for notices.
type Notice struct {
	// Lost is how many messages were dropped for this client since the last notice; 0 if
	// the notice is of something else.
	Lost uint64
	// Expiring is how long the login still lasts, in whole seconds; 0 if the notice is of
	// something else.
	Expiring time.Duration
	// Renewed: the token that Client.Renew sent was taken.
	Renewed bool
	// Unsubscribed is the topic of a subscription that the login no longer allows, so that
	// the server has dropped it; nil if the notice is of something else. What comes after the
	// notice is not there for that subscription's sake; a MuxChannel may hold what came
	// before. To subscribe to it again without the right to do so ends the session.
	Unsubscribed []byte
	// Channel is the one that Lost or Unsubscribed is about; nil if the client is not a
	// MuxClient.
	Channel *MuxChannel
}

// ErrUpgrade is wrapped by errors of Dial about a server that answered the HTTP request
// with something else than 101 and the subprotocol that was offered.
var ErrUpgrade = errors.New("no ZWS server")

// Dial connects to a ws:// or wss:// URL, logs in and returns when the server has sent
// READY; on bare ZWS2.0, its routing id. If the server refuses, the error is a
// *CloseError with the code and the reason of its close frame and the status of its ERROR,
// as far as it sent them. The caller closes the client.
func Dial(ctx context.Context, rawURL string, o DialOptions) (*Client, error) {
	if err := o.complete(rawURL); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.HandshakeTimeout, zmtp.ErrHandshakeTimeout)
	defer cancel()
	ws, err := o.upgrade(ctx, rawURL, o.subprotocol())
	if err != nil {
		return nil, err
	}
	c := &Client{traffic: traffic{options: &o}, ws: ws}
	c.read, c.write, c.hangUp = c.readFrame, c.writeFrame, ws.Close
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

// complete checks o and replaces zeros by defaults.
func (o *DialOptions) complete(rawURL string) error {
	setDefault(&o.MaxMessage, DefaultMaxMessage)
	setDefault(&o.MaxFrames, DefaultMaxFrames)
	setDefault(&o.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	switch u, err := url.Parse(rawURL); {
	case err != nil:
		return fmt.Errorf("zws: %w", err)
	case u.Scheme != "ws" && u.Scheme != "wss":
		return fmt.Errorf("zws: URL with scheme %q, want ws or wss", u.Scheme)
	case !o.SocketType.Valid():
		return fmt.Errorf("zws: %q is no socket type", o.SocketType)
	case len(o.RoutingID) > MaxRoutingID:
		return fmt.Errorf("zws: routing id of %d octets, allowed are %d", len(o.RoutingID), MaxRoutingID)
	}
	return nil
}

// subprotocol is the name that is offered.
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

// upgrade connects and makes the WebSocket with that subprotocol.
func (o *DialOptions) upgrade(ctx context.Context, rawURL, name string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{
		NetDialContext:  o.NetDial,
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: o.TLS,
		Subprotocols:    []string{name},
	}
	ws, answer, err := dialer.DialContext(ctx, rawURL, o.Header)
	switch {
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
		return nil, fmt.Errorf("zws: %w: %s was offered and %.32q answered", ErrUpgrade, name, got)
	}
	return ws, nil
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// local is what we tell of ourselves.
func (o *DialOptions) local() zap.Metadata {
	m := zap.Metadata{{Name: "Socket-Type", Value: string(o.SocketType)}}
	if len(o.RoutingID) > 0 {
		m = append(m, zap.Property{Name: "Identity", Value: string(o.RoutingID)})
	}
	if o.Notice != nil {
		m = append(m, zap.Property{Name: "Notices", Value: "1"})
	}
	return append(m, o.Metadata...)
}

// login is the client side of the first-message rules: the mechanism's handshake, or the
// exchange of routing ids.
func (c *Client) login(ctx context.Context) error {
	if c.options.Security != nil {
		return c.traffic.login(ctx)
	}
	if err := c.tell(zmtp.Frame{Body: c.options.RoutingID}); err != nil {
		return err
	}
	f, err := c.readFrame()
	c.peer = &zmtp.Peer{Metadata: zap.Metadata{{Name: "Identity", Value: string(f.Body)}}}
	return err
}
