package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/curvekeys"
	"github.com/zwsbridge/zwsbridge/zap/remote"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Servers are the endpoints of zap.listen, where native ZeroMQ servers ask the ZAP handler of
// the bridge.
type Servers struct {
	clients config.Path // what the open endpoints were made with, as identity
	// identity is the key pair of the bridge; nil without clients.
	identity *certs.Certificate
	open     map[string]*server
	asked    *asked // what all of them ask
}

// server is one open endpoint.
type server struct {
	*remote.Server
	clients *curvekeys.Authenticator // nil without zap.clients: every local process may ask
	closing sync.Once
}

// Listen opens the endpoints of zap.listen, except those that previous, from before a reload,
// has open: they are taken over and stay with the handler that they have, unless the keys have
// changed: then the servers that were connected are disconnected. previous may be nil. If Listen fails it closes what it has opened. The caller calls SetRules once c is in
// force, and Close.
//
// Servers and logins that are refused are recorded in refusals. socket, if not nil, returns what another process
// has handed over, as zmtp.ListenOptions has it.
//
// handler is asked without limits of its own: zap.listen counts refused logins by itself. A
// login that handler accepts but that may do nothing in the domain of the server (RabbitMQ's
// question about a vhost) is refused; grants that depend on routes do not count.
func Listen(c *config.Config, previous *Servers, handler zap.Handler, log *slog.Logger, refusals *refusal.Recorder, socket func(network, address string) net.Listener) (_ *Servers, err error) {
	s := &Servers{clients: c.Zap.Clients, open: make(map[string]*server)}
	if s.clients != "" && len(c.Zap.Listen) > 0 {
		if s.identity, err = c.Server.Private().Certificate(string(c.Server.CurveCert)); err != nil {
			return nil, err
		}
	}
	if previous == nil {
		previous = new(Servers)
	}
	if s.asked = previous.asked; s.asked == nil {
		s.asked = newAsked(handler, refusals)
		s.SetRules(c)
	}
	defer func() {
		if err != nil {
			s.Close(previous)
		}
	}()
	for _, endpoint := range c.Zap.Listen {
		open := previous.open[endpoint]
		if open != nil && s.sameKeys(previous) {
			s.open[endpoint] = open
			continue
		}
		if s.open[endpoint], err = s.listen(endpoint, open, log, refusals, socket); err != nil {
			delete(s.open, endpoint)
			return nil, fmt.Errorf("zap.listen: %w", err)
		}
	}
	return s, nil
}

// sameKeys reports whether servers log in as at previous.
func (s *Servers) sameKeys(previous *Servers) bool {
	if s.clients != previous.clients || s.clients == "" {
		return s.clients == previous.clients
	}
	return s.identity.Public == previous.identity.Public && s.identity.Secret == previous.identity.Secret
}

// listen opens one endpoint, or takes it over from previous if that is not nil.
func (s *Servers) listen(endpoint string, previous *server, log *slog.Logger, refusals *refusal.Recorder, socket func(network, address string) net.Listener) (_ *server, err error) {
	opened := new(server)
	o := remote.ServerOptions{Endpoint: endpoint, Handler: s.asked, EmptyDomain: s.asked.emptyDomain, Logger: log, Socket: socket}
	o.Refused = func(peer net.Addr, err error) { refusals.Add(refusal.OfPeer(refusal.Asker, peer.String(), err)) }
	if s.clients != "" {
		if opened.clients, err = curvekeys.New(curvekeys.Options{Dir: string(s.clients), Logger: log}); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				_ = opened.clients.Close()
			}
		}()
		o.Clients, o.CurvePublic, o.CurveSecret = opened.clients, s.identity.Public, s.identity.Secret
	}
	if previous != nil {
		o.Replaces = previous.Server
	}
	opened.Server, err = remote.Listen(o)
	return opened, err
}

// Listeners lists what listens.
func (s *Servers) Listeners() (list []*zmtp.Listener) {
	if s == nil {
		return nil
	}
	for _, open := range s.open {
		list = append(list, open.Listener())
	}
	return list
}

// HandOver closes the endpoints, at which another process listens: their socket files stay.
func (s *Servers) HandOver() {
	for _, l := range s.Listeners() {
		l.KeepFile()
	}
	s.Close(nil)
}

// Close closes the endpoints, except those that kept has taken over; s and kept may be nil. It may be called more
// than once.
func (s *Servers) Close(kept *Servers) {
	if s == nil {
		return
	}
	for endpoint, open := range s.open {
		if kept != nil && kept.open[endpoint] == open {
			continue
		}
		open.closing.Do(func() {
			_ = open.Close() // what it served is lost anyway
			if open.clients != nil {
				_ = open.clients.Close()
			}
		})
	}
}

// SetRules puts the domains and limits of c in force.
func (s *Servers) SetRules(c *config.Config) {
	s.asked.rules.Store(&askedRules{domain: c.Zap.Domain, domains: c.Zap.ListenDomains})
	s.asked.failures.SetLimit(c.Server.MaxFailures, c.Zap.Timeout)
}

// inDomain refuses logins that may do nothing in the domain of the request.
type inDomain struct{ next zap.Handler }

// Authenticate implements [zap.Handler].
func (d inDomain) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	reply, err := d.next.Authenticate(ctx, req)
	if err != nil || reply.Status != zap.OK {
		return reply, err
	}
	for _, r := range reply.Grants {
		switch in, err := r.In(ctx, req.Domain); {
		case err != nil:
			return nil, err
		case !in:
			return &zap.Reply{Status: zap.Refused, Text: fmt.Sprintf("user %q may do nothing in this domain", reply.UserID)}, nil
		}
	}
	return reply, nil
}
