package zws

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"time"

	"github.com/gorilla/websocket"
)

// maxHead limits what a server may answer to the upgrade, in bytes: status line and headers,
// and those of an HTTP proxy on the way.
const maxHead = 16 << 10

// maxTLSHandshake limits what a server may send up to the end of the TLS handshake, in bytes:
// certificates, of which crypto/tls accepts 256 KiB. A record is read whole.
const (
	maxTLSHandshake = 512 << 10
	maxTLSRecord    = 17 << 10
)

// headLimit limits what one Dial reads before the WebSocket is open. The WebSocket library and
// net/http accept headers of any length.
type headLimit struct {
	netDial func(ctx context.Context, network, address string) (net.Conn, error)
	left    int
	open    bool
	over    bool
}

func newHeadLimit(netDial func(context.Context, string, string) (net.Conn, error)) *headLimit {
	if netDial == nil {
		netDial = new(net.Dialer).DialContext
	}
	return &headLimit{netDial: netDial, left: maxHead}
}

// trace learns about the TLS handshake, which has a limit of its own.
func (l *headLimit) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { l.left = maxTLSHandshake },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { l.left = maxHead + maxTLSRecord },
	})
}

func (l *headLimit) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.netDial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &headConn{conn, l}, nil
}

// end ends the limit and reports whether it was exceeded.
func (l *headLimit) end() bool {
	l.open = true
	return l.over
}

// headConn is a connection with a headLimit.
type headConn struct {
	net.Conn
	limit *headLimit
}

// Read implements net.Conn.
func (c *headConn) Read(p []byte) (int, error) {
	l := c.limit
	if l.open {
		return c.Conn.Read(p)
	}
	if l.left <= 0 {
		l.over = true
		return 0, ErrUpgrade
	}
	n, err := c.Conn.Read(p)
	l.left -= n
	return n, err
}

// A message has messageTime to arrive whole, and a second more for each messageRate bytes.
const messageRate = 16 << 10

// messageTime is shortened by tests.
var messageTime = 30 * time.Second

// patience closes the WebSocket of a client whose server does not end a message: it could send
// empty fragments and pings without end.
type patience struct{ timer *time.Timer }

// begin is called when the first frame of a message has arrived.
func (p *patience) begin(ws *websocket.Conn, o *DialOptions) {
	limit := messageTime + time.Duration(o.MaxMessage/messageRate)*time.Second
	if p.timer == nil {
		p.timer = time.AfterFunc(limit, func() { ws.NetConn().Close() })
		return
	}
	p.timer.Reset(limit)
}

// end is called when the message has been read, which ended with err.
func (p *patience) end(err error) error {
	if !p.timer.Stop() && err != nil {
		return &CloseError{Code: CodeTimeout, Reason: unfinishedText, Err: err}
	}
	return err
}
