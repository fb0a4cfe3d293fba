package bridge

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/accept"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/zws"
)

// The names of the listeners in metrics and in the log.
const (
	serverListener = "server"
	adminListener  = "admin"
)

// maxOperatorConnections limits the connections to the operators' interface: they have
// descriptors that clients leave free, which are few.
const maxOperatorConnections = 32

// Listener returns l with the limits of the configuration in force, and prepares server to
// serve b on what it returns: server.max_connections and max_connections_per_ip then count
// connections of every kind, WebSockets or not; only as many are accepted as there are file
// descriptors for; clients that read nothing for server.write_timeout are disconnected; and
// with server.proxy_protocol the PROXY header is read. TLS belongs on top of it. It sets
// ConnContext and ConnState of server. The caller closes the listener.
//
// Without it, b limits WebSockets only.
func (b *Bridge) Listener(l net.Listener, server *http.Server) net.Listener {
	b.gate.Serve(server)
	l = b.gate.Listener(l)
	if s := &b.state.Load().config.Server; s.ProxyProtocol {
		l = accept.ProxyListener(l, s.TrustedProxies, s.HandshakeTimeout)
	}
	return l
}

// AdminListener is Listener for the operators' interface ([Bridge.Admin]), which has a limit
// of its own and leaves that of clients alone.
func (b *Bridge) AdminListener(l net.Listener, server *http.Server) net.Listener {
	b.adminGate.Serve(server)
	return b.adminGate.Listener(l)
}

func (b *Bridge) newGate(name string) *accept.Gate {
	return accept.New(accept.Options{
		Name: name, Log: b.options.Logger, Metrics: b.metrics.Listener(name, accept.Reasons),
		Refused: func(from netip.Addr, reason accept.Reason) {
			f := refusal.Refusal{Kind: refusal.Connection, Address: clientaddr.Client{Address: from}.String(), Reason: reason.Text(), Error: reason.Limit()}
			if f.Code = int(zws.CodeTooMany); reason == accept.Stranger {
				f.Code = int(zws.CodeForbidden)
			}
			b.refusals.Add(f)
		},
	})
}

// setLimits puts the limits on connections and subscriptions in force.
func (b *Bridge) setLimits(c *config.Config) {
	s := &c.Server
	b.connections.SetLimits(s.MaxConnections, s.MaxConnectionsPerIP)
	b.connections.SetMaxBytes(int64(s.MaxConnectionBytes))
	b.connections.SetSubscriptionBytes(int64(s.MaxSubscriptionBytesPerUser))
	limits := accept.Limits{
		Connections: s.MaxConnections, PerAddress: s.MaxConnectionsPerIP, Descriptors: accept.Capacity(c.Descriptors()),
		Proxies: s.TrustedProxies, WriteTimeout: s.WriteTimeout,
	}
	b.gate.SetLimits(limits)
	b.adminGate.SetLimits(accept.Limits{Connections: maxOperatorConnections, WriteTimeout: s.WriteTimeout})
	if limits.Max() < s.MaxConnections {
		b.options.Logger.Info("fewer connections than server.max_connections: the limit of file descriptors does not permit more",
			"connections", limits.Max(), "max_connections", s.MaxConnections)
	}
}
