package bridge

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestReloadRemovesRoute checks that a client does not stay connected if its route is removed
// just before its session is registered.
func TestReloadRemovesRoute(t *testing.T) {
	text := `
[zap]
chain = [ { authn = "guests" } ]
[auth.guests]
type = "anonymous"
[[route]]
path = "/d"
socket = "DEALER"
connect = ["tcp://127.0.0.1:1"]
ready = "none"
client_mechanisms = ["NULL"]
`
	b, err := New(parse(t, text), Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := b.route("/d")
		from, err := clientaddr.Locate(r, nil)
		if err == nil {
			err = b.admit(t.Context(), route, from)
		}
		if err == nil {
			err = b.Reload(parse(t, strings.Replace(text, "/d", "/e", 1)))
		}
		if err != nil {
			t.Error(err)
			return
		}
		b.connections.Serve(w, r, route, from, route.Rules().Options)
	}))
	defer server.Close()
	defer b.Close(t.Context())
	c, err := zws.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Null{}})
	if err == nil {
		defer c.Close()
		_, err = c.Recv(t.Context())
	}
	if got := zws.Cause(err); got.Code != zws.CodeGoingAway {
		t.Errorf("%v, want 1001", err)
	}
}

// parse loads a configuration from text.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bridge.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, faults := config.Load(file)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}
