package accept

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
)

// Listener returns l behind the gate. Connections that are not TCP pass uncounted and without
// a deadline.
func (g *Gate) Listener(l net.Listener) net.Listener { return &listener{l, g} }

type listener struct {
	net.Listener
	gate *Gate
}

// Accept returns the next connection that is served, or told that it is not.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				l.gate.failed(err)
			}
			return nil, err
		}
		tcp, ok := nc.(*net.TCPConn)
		if !ok {
			return nc, nil
		}
		c := &Conn{TCPConn: tcp, gate: l.gate, peer: clientaddr.Parse(tcp.RemoteAddr().String())}
		if !l.gate.enter(c) {
			_ = tcp.Close()
			continue
		}
		c.limitUnsent()
		return c, nil
	}
}

// ProxyListener returns a listener, of [Gate.Listener], that accepts connections from trusted
// proxies only and reads the PROXY header with which they begin, within timeout. The
// connections count for the address that it names.
func ProxyListener(l net.Listener, trusted []netip.Prefix, timeout time.Duration) net.Listener {
	return &proxyListener{l, trusted, timeout}
}

type proxyListener struct {
	net.Listener
	trusted []netip.Prefix
	timeout time.Duration
}

// Accept returns the next connection of a trusted proxy.
func (l *proxyListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !clientaddr.Contains(l.trusted, clientaddr.Parse(nc.RemoteAddr().String())) {
			if c, ok := nc.(*Conn); ok {
				c.gate.o.Refused(clientaddr.Parse(nc.RemoteAddr().String()), Stranger)
			}
			_ = nc.Close()
			continue
		}
		return proxyproto.NewConn(nc, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(l.timeout),
			proxyproto.ValidateHeader(func(h *proxyproto.Header) error { return claim(nc, h) })), nil
	}
}

// claim counts a connection for the address of its header. A header without one is from the
// proxy itself.
func claim(nc net.Conn, h *proxyproto.Header) error {
	c, ok := nc.(*Conn)
	if !ok || h.Command.IsLocal() || h.SourceAddr == nil {
		return nil
	}
	a := clientaddr.Parse(h.SourceAddr.String())
	if a.IsValid() && !c.gate.rename(c, a) {
		return fmt.Errorf("accept: too many connections from %s", a)
	}
	return nil
}

type connKey struct{}

// Serve connects the gate with the server of its listener: it sets ConnState and ConnContext.
func (g *Gate) Serve(s *http.Server) {
	s.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		if c := unwrap(nc); c != nil {
			ctx = context.WithValue(ctx, connKey{}, c)
		}
		return ctx
	}
	s.ConnState = func(nc net.Conn, state http.ConnState) {
		if c := unwrap(nc); c != nil && state != http.StateNew {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.setIdle(c, state == http.StateIdle)
		}
	}
}

// unwrap returns the connection below TLS and the PROXY protocol; nil if it is not a gate's.
func unwrap(nc net.Conn) *Conn {
	for {
		switch c := nc.(type) {
		case *Conn:
			return c
		case interface{ NetConn() net.Conn }: // TLS
			nc = c.NetConn()
		case interface{ Raw() net.Conn }: // PROXY protocol
			nc = c.Raw()
		default:
			return nil
		}
	}
}
