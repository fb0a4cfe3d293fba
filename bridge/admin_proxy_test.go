package bridge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestAdminBehindProxy checks that operators have the address that clients of a route have:
// the one that a trusted proxy forwards.
func TestAdminBehindProxy(t *testing.T) {
	asked := make(chan string, 10)
	handler := zapHandler(t, func(req *zap.Request) *zap.Reply {
		asked <- req.Address
		return &zap.Reply{Status: zap.OK, UserID: "carol", Metadata: zap.Metadata{{Name: "Tags", Value: "monitoring"}}}
	})
	_, b := start(t, fmt.Sprintf(`
[server]
trusted_proxies = ["127.0.0.0/8"]
[zap]
chain = [ { authn = "tokens", authz = ["lan"] } ]
[auth.tokens]
type = "zap"
endpoint = %q
[auth.lan]
type = "ip"
allow = ["192.0.2.0/24"]
[[route]]
path = "/d"
socket = "SUB"
mechanism = "NULL"
connect = [%q]
`, handler, silent(t, zmtp.PUB)))
	server := httptest.NewServer(b.Admin())
	t.Cleanup(server.Close)
	o := &operator{t: t, admin: server.URL}
	for address, want := range map[string]int{"192.0.2.7": http.StatusOK, "203.0.113.5": http.StatusUnauthorized, "unknown": http.StatusBadRequest} {
		resp := o.do("GET", "/sessions", "", "", "Authorization", "Bearer x", "X-Forwarded-For", address)
		if resp.StatusCode != want {
			t.Errorf("from %s: %s, want %d", address, resp.Status, want)
		}
	}
	close(asked)
	for address := range asked {
		if address == "127.0.0.1" {
			t.Error("the handler was asked about the proxy's address")
		}
	}
}
