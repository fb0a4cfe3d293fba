package bridge_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestRefusals refuses a client, a channel, a backend, a server and an operator on each way in: each
// has a line in the log and an entry in the list, with the name that was claimed, and without secrets.
func TestRefusals(t *testing.T) {
	bind, ask := unusedEndpoint(t), unusedEndpoint(t)
	url, b, log := startLogging(t, func(dir string) string {
		must(t, os.MkdirAll(filepath.Join(dir, "backends"), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "token"), []byte("an admin token, long enough\n"), 0o600))
		return fmt.Sprintf(`
[server]
max_failures = 0
curve_cert = "bridge"
[log]
repeat = "0s"
[admin]
listen = ""
token_file = "token"
[zap]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "backends", domains = ["devices"] } ]
listen = [%q]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.backends]
type = "htpasswd"
file = "users.htpasswd"
[[route]]
path = "/in"
socket = "SUB"
bind = [%q]
mechanism = "PLAIN"
bind_domain = "devices"
`, ask, bind) + routeTo("/d", "SUB", silent(t, zmtp.PUB), `allow = [ { user = "bob", subscribe = ["b"] } ]`) +
			routeTo("/away", "SUB", unusedEndpoint(t), `ready = "all"`) +
			routeTo("/login", "DEALER", bind, `credentials = "client"`)
	})
	get := func(header http.Header) func() {
		return func() {
			r := httptest.NewRequest("GET", "http://localhost/summary", nil)
			r.RemoteAddr, r.Header = "192.0.2.7:1", header
			b.Admin().ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	dial := func(path string, o zws.DialOptions) func() { return func() { refusal(t, url+path, o) } }
	wrong := func(user string) zmtp.Plain { return zmtp.Plain{User: user, Password: "bob's secret, wrong"} }
	sub := func(s zmtp.ClientSecurity, header http.Header) zws.DialOptions {
		return zws.DialOptions{SocketType: zmtp.SUB, Security: s, Header: header, HandshakeTimeout: time.Minute}
	}
	token := "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"tom"}`)) + ".c2ln"
	for _, tt := range []struct {
		want   bridge.Refusal
		refuse func()
	}{
		{bridge.Refusal{Kind: "client", User: "alice", Route: "/d", Code: 4400, Error: `wrong password for "alice"`, Authenticator: "users", Mechanism: "PLAIN", Dialect: "ZWS2.0/PLAIN"},
			dial("/d", sub(wrong("alice"), nil))},
		{bridge.Refusal{Kind: "client", User: "ghost", Route: "/d", Code: 4400, Error: "unknown user", Mechanism: "PLAIN", Dialect: "ZWS2.0/PLAIN"},
			dial("/d", sub(wrong("ghost"), nil))},
		{bridge.Refusal{Kind: "client", User: "(a token)", Route: "/d", Code: 4400, Error: "unknown user", Mechanism: "PLAIN", Dialect: "ZWS2.0/PLAIN"},
			dial("/d", sub(wrong(token), nil))},
		{bridge.Refusal{Kind: "client", User: "tom", Route: "/d", Code: 4400, Error: "no user name and password", Mechanism: "BEARER", Dialect: "ZWS2.0/BEARER"},
			dial("/d", bearerLogin(token, zmtp.SUB))},
		{bridge.Refusal{Kind: "client", User: certs.EncodeKey(nativeKey.Public), Route: "/d", Code: 4400, Error: "no user name and password", Mechanism: "CURVE", Dialect: "ZWS2.0/CURVE"},
			dial("/d", sub(zmtp.Curve{Public: nativeKey.Public, Secret: nativeKey.Secret, ServerKey: bridgeKey.Public}, nil))},
		{bridge.Refusal{Kind: "client", Route: "/d", Code: 4400, Mechanism: "NULL", Dialect: "ZWS2.0/NULL"}, dial("/d", sub(zmtp.Null{}, nil))},
		{bridge.Refusal{Kind: "client", User: "bob", Route: "/away", Code: 4503, Mechanism: "PLAIN", Dialect: "ZWS2.0/PLAIN"},
			dial("/away", plainLogin("bob", zmtp.SUB))},
		{bridge.Refusal{Kind: "client", User: "alice", Route: "/d", Code: 4403, Mechanism: "PLAIN", Dialect: "ZWS2.0/PLAIN"},
			dial("/d", plainLogin("alice", zmtp.SUB))},
		{bridge.Refusal{Kind: "client", User: "alice", Route: "/d", Code: 4406, Mechanism: "PLAIN", Dialect: "ZWS2.0/PLAIN"},
			dial("/d", plainLogin("alice", zmtp.REQ))},
		{bridge.Refusal{Kind: "client", Route: "/none", Code: 4404, Dialect: "ZWS2.0/PLAIN"}, dial("/none", plainLogin("bob", zmtp.SUB))},
		{bridge.Refusal{Kind: "client", Route: "/d", Code: 4403, Reason: "origin not allowed", Error: "https://evil.example", Dialect: "ZWS2.0/PLAIN"}, func() {
			if _, err := zws.Dial(t.Context(), url+"/d", sub(wrong("bob"), http.Header{"Origin": {"https://evil.example"}})); err == nil {
				t.Error("accepted")
			}
		}},
		{bridge.Refusal{Kind: "channel", User: "bob", Route: "/none", Code: 4404, Mechanism: "PLAIN", Dialect: "ZWSMUX1.0"}, func() {
			if _, err := dialMux(t, url+"/d", "bob").Open(t.Context(), zws.ChannelOptions{Route: "/none", SocketType: zmtp.SUB}); err == nil {
				t.Error("opened")
			}
		}},
		{bridge.Refusal{Kind: "inbound backend", User: "alice", Route: "/in", Code: 4400, Error: "wrong password", Mechanism: "PLAIN"}, func() {
			if _, err := zmtp.Dial(t.Context(), bind, wrong("alice"), zmtp.Options{SocketType: zmtp.PUB}); err == nil {
				t.Error("connected")
			}
		}},
		{bridge.Refusal{Kind: "zap.listen login", User: "alice", Address: "192.0.2.9", Code: 4400, Error: "wrong password", Mechanism: "PLAIN", Asker: "127.0.0.1"}, func() {
			c := asker(t, ask)
			must(t, c.Write(message("", "1.0", "1", "global", "192.0.2.9", "", "PLAIN", "alice", "bob's secret")))
			answered(t, c)
		}},
		{bridge.Refusal{Kind: "operator", User: "eve", Address: "192.0.2.7", Code: 401, Error: "unknown user", Mechanism: "PLAIN"}, get(basicAuth("eve"))},
		{bridge.Refusal{Kind: "operator", User: "bob", Address: "192.0.2.7", Code: 403}, get(basicAuth("bob"))},
	} {
		if tt.want.Address == "" {
			tt.want.Address = "127.0.0.1"
		}
		tt.refuse()
		expectRefusal(t, b, tt.want)
		line := []string{fmt.Sprintf("msg=%q", string(tt.want.Kind)+" refused"), "address=" + tt.want.Address, fmt.Sprintf("code=%d", tt.want.Code), tt.want.User}
		if tt.want.Route != "" {
			line = append(line, "route="+tt.want.Route)
		}
		log.waitFor(t, line...)
	}
	for _, f := range b.Refusals("", "") {
		if text := fmt.Sprint(f); strings.Contains(text, "secret") || strings.Contains(text, "eyJ") {
			t.Errorf("a secret in %s", text)
		}
	}
}

// expectRefusal waits for an entry of the list like want, whose Reason and Error are parts.
func expectRefusal(t *testing.T, b *bridge.Bridge, want bridge.Refusal) {
	t.Helper()
	eventually(t, fmt.Sprintf("an entry like %+v", want), func() bool {
		for _, f := range b.Refusals(want.User, want.Address) {
			reason, cause := f.Reason, f.Error
			got := bridge.Refusal{Kind: f.Kind, User: f.User, Address: f.Address, Route: f.Route, Code: f.Code, Mechanism: f.Mechanism, Dialect: f.Dialect,
				Asker: f.Asker, Authenticator: f.Authenticator, Reason: want.Reason, Error: want.Error}
			if want.Authenticator == "" {
				got.Authenticator = ""
			}
			if got == want && strings.Contains(reason, want.Reason) && strings.Contains(cause, want.Error) && reason != "" && f.Count == 1 {
				return true
			}
		}
		return false
	})
}
