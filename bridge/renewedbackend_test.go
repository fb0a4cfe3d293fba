package bridge_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestRenewedTokenAtBackend passes the token of a client on to a backend that is lost and refuses
// that token when it is back. The session stays, and is served once the client has renewed its login;
// a reload with the renewed token does not end the connection to the backend.
func TestRenewedTokenAtBackend(t *testing.T) {
	handler := zapHandler(t, func(*zap.Request) *zap.Reply { return &zap.Reply{Status: zap.OK, UserID: "carol"} })
	var valid atomic.Value
	var logins atomic.Int64
	valid.Store("first")
	check := func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
		logins.Add(1)
		if _, password, _ := r.Plain(); password != valid.Load() {
			return &zap.Reply{Status: zap.Refused}, nil
		}
		return &zap.Reply{Status: zap.OK}, nil
	}
	echo := func(c *zmtp.Conn) {
		for {
			m, err := c.ReadMessage()
			if err != nil || c.Write(m) != nil {
				return
			}
		}
	}
	endpoint, stop := listenAt(t, unusedEndpoint(t), zmtp.ROUTER, zap.PLAIN, check, echo)
	var dir, text string
	url, b := startIn(t, func(d string) string {
		dir = d
		text = zapOnly(handler) + routeTo("/d", "DEALER", endpoint, `mechanism = "PLAIN"`, `credentials = "client"`, `client_mechanisms = ["BEARER"]`)
		return text
	})
	c := connect(t, url+"/d", bearerLogin("first", zmtp.DEALER))
	answered := func(request string) {
		t.Helper()
		must(t, c.Send(t.Context(), message(request)))
		m, err := c.Recv(t.Context())
		must(t, err)
		if string(m[0]) != request {
			t.Fatalf("got %q, want the answer to %q", m, request)
		}
	}
	answered("1")
	valid.Store("second")
	stop()
	_, stop = listenAt(t, endpoint, zmtp.ROUTER, zap.PLAIN, check, echo)
	defer stop()
	eventually(t, "the backend refuses the first token", func() bool {
		return slices.ContainsFunc(b.Backends(), func(s bridge.Backend) bool { return s.State == "refused" })
	})
	must(t, c.Renew(t.Context(), "second"))
	answered("2")
	reload(t, b, dir, text+"connect_timeout = \"7s\"\n")
	answered("3")
	if n := logins.Load(); n != 3 {
		t.Errorf("%d logins at the backend, want 3: one with each token, and one that was refused", n)
	}
}
