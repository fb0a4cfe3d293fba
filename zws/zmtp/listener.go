package zmtp

import (
	"errors"
	"net"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Listener accepts connections whose peers have completed their handshakes. Its methods
// may be called by several goroutines. Whoever made it closes it.
type Listener struct {
	nl net.Listener
}

// Listen listens on an endpoint (see [Dial]; * as the host means all addresses, * or 0 as the port any free port)
// and serves mechanism m. Handshakes run at the same time, at most o.Handshakes of them,
// each with its own deadline.
func Listen(endpoint string, m zap.Mechanism, sec ServerSecurity, o ListenOptions) (*Listener, error) {
	return nil, errors.New("zmtp: not listening")
}

// Accept returns the next peer that sec.Handler has let in, or an error that wraps
// net.ErrClosed after Close. The caller closes the Conn.
func (l *Listener) Accept() (*Conn, error) { return nil, net.ErrClosed }

// Endpoint is where the listener can be reached, with the port that was chosen.
func (l *Listener) Endpoint() string { return "" }

// Addr is the transport address that the listener listens on.
func (l *Listener) Addr() net.Addr { return nil }

// Close stops listening, gives up handshakes that are under way and connections that were
// not accepted yet, and waits for its goroutines. Accepted connections stay open.
func (l *Listener) Close() error { return nil }
