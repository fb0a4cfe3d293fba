package remote

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestAsker: the handler learns who asks, and in which domain without one.
func TestAsker(t *testing.T) {
	known, err := certs.New()
	must(t, err)
	server, err := certs.New()
	must(t, err)
	says := zap.HandlerFunc(func(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
		return &zap.Reply{Status: zap.OK, Text: req.Domain, UserID: Asker(ctx)}, nil
	})
	ask := func(t *testing.T, o ServerOptions, security zmtp.ClientSecurity, domain string) *zap.Reply {
		t.Helper()
		s := serve(t, o)
		c, err := zmtp.Dial(t.Context(), s.Endpoint(), security, zmtp.Options{SocketType: zmtp.DEALER})
		must(t, err)
		defer c.Close()
		must(t, c.Write(message("", "1.0", "1", domain, "192.0.2.1", "", "NULL")))
		m, err := c.ReadMessage()
		must(t, err)
		reply, err := zap.ParseReply(m[1:], "1")
		must(t, err)
		return reply
	}
	everybody := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: zap.OK}, nil })
	house := func() string { return "house" }
	for name, c := range map[string]struct {
		o            ServerOptions
		security     zmtp.ClientSecurity
		domain       string
		asker, asked string
	}{
		"by address":            {ServerOptions{}, zmtp.Null{}, "test", "127.0.0.1", "test"},
		"by ipc":                {ServerOptions{Endpoint: "ipc://@" + t.Name()}, zmtp.Null{}, "test", "", "test"},
		"the domain of nobody":  {ServerOptions{EmptyDomain: house}, zmtp.Null{}, "", "127.0.0.1", "house"},
		"a domain of its own":   {ServerOptions{EmptyDomain: house}, zmtp.Null{}, "test", "127.0.0.1", "test"},
		"no domain is an error": {ServerOptions{}, zmtp.Null{}, "", "", ""},
		"by key": {ServerOptions{Clients: everybody, CurvePublic: server.Public, CurveSecret: server.Secret},
			zmtp.Curve{Public: known.Public, Secret: known.Secret, ServerKey: server.Public}, "test", hex.EncodeToString(known.Public[:]), "test"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Handler = says
			reply := ask(t, c.o, c.security, c.domain)
			if c.asked == "" {
				if reply.Status != zap.Internal {
					t.Errorf("%+v, want 500", reply)
				}
				return
			}
			if reply.UserID != c.asker || reply.Text != c.asked {
				t.Errorf("asker %q, domain %q, want %q and %q", reply.UserID, reply.Text, c.asker, c.asked)
			}
		})
	}
}
