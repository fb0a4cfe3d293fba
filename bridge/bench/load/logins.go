package load

import (
	"crypto/tls"
	"net"
	"time"
)

// Upgrade connects a client that only opens a WebSocket.
func Upgrade(srv *Server, _ int) (net.Conn, error) {
	c, err := Dial(srv, "/", "")
	if err != nil {
		return nil, err
	}
	return c.Raw()
}

// Logins returns the processor time of the server for one client of p that connects and logs in,
// with a full handshake if secure. n of them connect, eight at a time, after others that warm the server up.
func Logins(p *Peer, n int, secure bool) (each time.Duration, err error) {
	s := new(setup)
	defer s.close()
	if err := s.start(p, Profile{TLS: secure}); err != nil {
		return 0, s.explain(err)
	}
	const warm = 200
	var cpu time.Duration
	for _, clients := range []int{warm, n} {
		crowd, err := newSwarm()
		if err != nil {
			return 0, err
		}
		defer crowd.close()
		cpu = s.srv.cpu()
		if err := crowd.connect(p, s.srv, clients); err != nil {
			return 0, s.explain(err)
		}
		time.Sleep(50 * time.Millisecond) // for what clients have sent last
		cpu = s.srv.cpu() - cpu
	}
	return cpu / time.Duration(n), nil
}

// clientTLS is the configuration of all clients: the certificate is self-signed, on loopback, and
// each handshake is a full one.
var clientTLS = &tls.Config{InsecureSkipVerify: true}

// NoPublisher is the Publisher of a peer that nobody publishes to.
func NoPublisher(*Server) (*Publisher, error) { return new(Publisher), nil }
