package bridge

import (
	"context"
	"fmt"
	"io"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/curvekeys"
	"github.com/zwsbridge/zwsbridge/zap/remote"
)

// zapServer is one endpoint where native ZeroMQ servers may ask our ZAP handler.
type zapServer struct {
	*remote.Server
	clients io.Closer // nil: everybody on this machine may ask
}

// listenZAP opens the endpoints of zap.listen that old does not have open already.
func (b *Bridge) listenZAP(c *config.Config, old *state) (map[string]*zapServer, error) {
	servers := make(map[string]*zapServer)
	for _, endpoint := range c.Zap.Listen {
		if old != nil && old.zapServers[endpoint] != nil {
			if c.Zap.Clients != old.config.Zap.Clients || c.Server.CurveCert != old.config.Server.CurveCert {
				return servers, fmt.Errorf("zap.listen: %s is open with other keys: restart to change them", endpoint)
			}
			servers[endpoint] = old.zapServers[endpoint]
			continue
		}
		s, err := b.newZAPServer(c, endpoint)
		if err != nil {
			return servers, fmt.Errorf("zap.listen: %w", err)
		}
		servers[endpoint] = s
	}
	return servers, nil
}

func (b *Bridge) newZAPServer(c *config.Config, endpoint string) (_ *zapServer, err error) {
	s := new(zapServer)
	o := remote.ServerOptions{Endpoint: endpoint, Handler: zap.HandlerFunc(b.answer), Logger: b.log}
	if c.Zap.Clients != "" {
		keys, err := curvekeys.New(curvekeys.Options{Dir: string(c.Zap.Clients), Logger: b.log})
		if err != nil {
			return nil, err
		}
		s.clients, o.Clients = keys, keys
		identity, err := certs.ReadSecret(string(c.Server.CurveCert))
		if err != nil {
			_ = keys.Close()
			return nil, err
		}
		o.CurvePublic, o.CurveSecret = identity.Public, identity.Secret
	}
	if s.Server, err = remote.Listen(o); err != nil && s.clients != nil {
		_ = s.clients.Close()
	}
	return s, err
}

// answer is the handler for native servers: the chain that is in force. The addresses that
// they tell are their own business and do not count against anybody's failures here. Rights
// that depend on routes mean nothing to them, but a login that may do nothing at all in
// their domain, as RabbitMQ asks about a vhost, is refused.
func (b *Bridge) answer(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	st := b.state.Load()
	if st == nil || st.auth == nil {
		return nil, errShutdown
	}
	reply, err := st.auth.Authenticate(ctx, req)
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

// Close stops serving.
func (s *zapServer) Close() error {
	err := s.Server.Close()
	if s.clients != nil {
		_ = s.clients.Close()
	}
	return err
}
