package bridge_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Each test of this file tries something that must be refused.

// TestBindDomain checks that the password of a client does not work where backends connect to a
// bind endpoint, and that the key of a backend does not work where clients log in.
func TestBindDomain(t *testing.T) {
	endpoint := strings.Replace(unusedEndpoint(t), "localhost", "127.0.0.1", 1)
	url, _ := startIn(t, func(dir string) string {
		keys := filepath.Join(dir, "backends")
		if err := os.Mkdir(keys, 0o700); err != nil {
			t.Fatal(err)
		}
		public := *bridgeKey
		public.HasSecret = false
		if err := public.Write(filepath.Join(keys, "house1")); err != nil {
			t.Fatal(err)
		}
		writeKey(t, dir, "server", nativeKey)
		return fmt.Sprintf(`
[server]
curve_cert = "server"
[zap]
domain = "clients"
chain = [ { authn = "users" }, { authn = "backends", domains = ["devices"] } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.backends]
type = "curve"
dir = "backends"
[[route]]
path = "/d"
socket = "SUB"
bind = [%q]
bind_domain = "devices"
mechanism = "CURVE"
client_mechanisms = ["PLAIN", "CURVE"]
ready = "none"
`, endpoint)
	})

	pub := zmtp.Options{SocketType: zmtp.PUB}
	good := zmtp.Curve{Public: bridgeKey.Public, Secret: bridgeKey.Secret, ServerKey: nativeKey.Public}

	t.Run("backend at the bind endpoint", func(t *testing.T) {
		c, err := zmtp.Dial(t.Context(), endpoint, good, pub)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
	t.Run("client at the bind endpoint", func(t *testing.T) {
		_, err := zmtp.Dial(t.Context(), endpoint, zmtp.Plain{User: "alice", Password: "alice's secret"}, pub)
		if _, ok := errors.AsType[*zmtp.MechanismError](err); !ok {
			t.Errorf("got %v, want a *zmtp.MechanismError", err)
		}
	})
	t.Run("unknown key at the bind endpoint", func(t *testing.T) {
		_, err := zmtp.Dial(t.Context(), endpoint, zmtp.Curve{Public: strangerKey.Public, Secret: strangerKey.Secret, ServerKey: nativeKey.Public}, pub)
		if refused, ok := errors.AsType[*zmtp.RefusedError](err); !ok || refused.Status != zap.Refused {
			t.Errorf("got %v, want a refusal with 400", err)
		}
	})
	t.Run("backend where clients log in", func(t *testing.T) {
		got := refusal(t, url+"/d", zws.DialOptions{SocketType: zmtp.SUB, Security: good})
		if got.Code != 4400 {
			t.Errorf("got %v, want 4400", got)
		}
	})
}

// TestTopicRights checks that a client can neither subscribe nor send to topics of another user.
func TestTopicRights(t *testing.T) {
	const send = `allow = [ { user = "*", send = ["house/{user}/"] } ]`
	url, _ := start(t, usersOnly+
		routeTo("/own", "SUB", silent(t, zmtp.PUB), `allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`)+
		routeTo("/send", "DEALER", silent(t, zmtp.ROUTER), send)+
		routeTo("/req", "REQ", silent(t, zmtp.REP), send))
	for _, tc := range []struct {
		name    string
		path    string
		as      zmtp.SocketType
		message zmtp.Message
		code    zws.Code
	}{
		{"topics of another user", "/own", zmtp.SUB, message("\x01house/bob/"), 4403},
		{"all topics", "/own", zmtp.SUB, message("\x01"), 4403},
		{"wildcard", "/own", zmtp.SUB, message("\x01house/+/"), 4403},
		{"user name that begins with the own name", "/own", zmtp.SUB, message("\x01house/alice2/"), 4403},
		{"topic too long", "/own", zmtp.SUB, zmtp.Message{append([]byte("\x01house/alice/"), make([]byte, 1<<10)...)}, 4403},
		{"message on SUB", "/own", zmtp.SUB, message("hello"), 1002},
		{"sending to a topic of another user", "/send", zmtp.DEALER, message("house/bob/switch", "on"), 4403},
		{"own topic in another frame", "/send", zmtp.DEALER, message("house/bob/switch", "house/alice/switch"), 4403},
		{"own topic after a delimiter", "/send", zmtp.DEALER, message("", "house/alice/switch"), 4403},
		{"empty topic", "/send", zmtp.DEALER, message("", ""), 4403}, // a probe alone is dropped, see TestProbes
		{"REQ to a topic of another user", "/req", zmtp.REQ, message("", "house/bob/switch"), 4403},
		{"REQ with own topic before the delimiter", "/req", zmtp.REQ, message("house/alice/switch", "", "house/bob/switch"), 4403},
		{"REQ without a delimiter", "/req", zmtp.REQ, message("house/alice/switch"), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := connect(t, url+tc.path, plainLogin("alice", tc.as))
			if err := c.Send(t.Context(), tc.message); err != nil {
				t.Fatal(err)
			}
			_, err := c.Recv(t.Context())
			got, ok := errors.AsType[*zws.CloseError](err)
			if !ok || tc.code != 0 && got.Code != tc.code {
				t.Errorf("got %v, want %d", err, tc.code)
			}
		})
	}
}

// TestSubscriptionLimit checks that the number of subscriptions of a client is limited.
func TestSubscriptionLimit(t *testing.T) {
	url, _ := start(t, usersOnly+"[server]\nmax_subscriptions = 1000\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	c := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	done := make(chan error, 1)
	go func() {
		_, err := c.Recv(t.Context())
		done <- err
	}()
	for i := range 100_000 {
		if c.Subscribe(t.Context(), fmt.Appendf(nil, "topic %d", i)) != nil {
			break
		}
	}
	if got, ok := errors.AsType[*zws.CloseError](<-done); !ok || got.Code != 4403 {
		t.Errorf("got %v, want 4403 after 1000 subscriptions", got)
	}
}

// TestCookieFromOtherOrigin checks that the cookie that a browser adds to the request of a page
// from another origin is not used as a login, even where origins = ["*"] lets that page
// connect.
func TestCookieFromOtherOrigin(t *testing.T) {
	tokens := zapHandler(t, func(req *zap.Request) *zap.Reply {
		if req.Mechanism == zap.BEARER && string(req.Credentials[0]) == "good" {
			return &zap.Reply{Status: zap.OK, UserID: "alice"}
		}
		return &zap.Reply{Status: zap.Refused}
	})
	url, _ := start(t, "[server]\norigins = [\"*\"]\n"+zapOnly(tokens)+
		routeTo("/d", "SUB", silent(t, zmtp.PUB), `client_mechanisms = ["BEARER"]`))
	cookie := func(origin string) zws.DialOptions {
		h := http.Header{"Cookie": {"zws_token=good"}}
		if origin != "" {
			h.Set("Origin", origin)
		}
		return zws.DialOptions{SocketType: zmtp.SUB, Header: h}
	}
	same := "http" + strings.TrimPrefix(url, "ws")
	for _, origin := range []string{"", same} {
		c, err := zws.Dial(t.Context(), url+"/d", cookie(origin))
		if err != nil {
			t.Fatalf("origin %q: %v", origin, err)
		}
		c.Close()
	}
	if got := refusal(t, url+"/d", cookie("https://evil.example")); got.Code != 4400 {
		t.Errorf("cookie with another origin: %v, want 4400", got)
	}
}

// TestUserPlaceholder checks that {user} matches nothing, and names no key file, for a user
// name that is empty or has characters with a meaning in patterns or paths.
func TestUserPlaceholder(t *testing.T) {
	var user string
	handler := zapHandler(t, func(*zap.Request) *zap.Reply { return &zap.Reply{Status: zap.OK, UserID: user} })
	url, _ := startIn(t, func(dir string) string {
		writeKey(t, dir, "alice", bridgeKey)
		return zapOnly(handler) +
			routeTo("/own", "SUB", silent(t, zmtp.PUB), `allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`) +
			routeTo("/key", "SUB", silentWith(t, zmtp.PUB, zap.CURVE, always(zap.OK)),
				`mechanism = "CURVE"`, `cert = "{user}"`, fmt.Sprintf("server_key = %q", certs.EncodeKey(nativeKey.Public)))
	})
	for _, user = range []string{"", "+", "#", "*", "a/b", "../alice"} {
		if got := refusal(t, url+"/own", plainLogin("alice", zmtp.SUB)); got.Code != 4403 {
			t.Errorf("user %q on a route with {user} in allow: %v, want 4403", user, got)
		}
	}
	for _, user = range []string{"", "+", "#", "*", "a/b", "../alice", "..", ".alice", "alice_secret", "bob"} {
		if got := refusal(t, url+"/key", plainLogin("alice", zmtp.SUB)); got.Code != 4403 {
			t.Errorf("user %q on a route with {user} in cert: %v, want 4403", user, got)
		}
	}
	user = "alice"
	for _, path := range []string{"/own", "/key"} {
		connect(t, url+path, plainLogin("alice", zmtp.SUB))
	}
}

// TestEndpointInURL checks that a client that names endpoints in its URL, as webtalk clients do,
// is accepted only if the route has exactly these, in any dialect.
func TestEndpointInURL(t *testing.T) {
	url, _ := start(t, usersOnly+routeTo("/d", "DEALER", "tcp://127.0.0.1:1", `ready = "none"`))
	for _, tt := range []struct {
		query string
		code  zws.Code // 0: accepted
	}{
		{"connect=tcp://127.0.0.1:1", 0},
		{"connect=tcp://127.0.0.1:22", zws.CodeForbidden},
		{"connect=tcp://127.0.0.1:1&connect=tcp://169.254.169.254:80", zws.CodeForbidden},
		{"bind=tcp://*:80", zws.CodeForbidden},
	} {
		c, err := dial(t.Context(), url+"/d?"+tt.query, "alice", zmtp.DEALER)
		if err == nil {
			c.Close()
		}
		var code zws.Code
		if closed, ok := errors.AsType[*zws.CloseError](err); ok {
			code = closed.Code
		}
		if code != tt.code {
			t.Errorf("%s: %v, want %d", tt.query, err, tt.code)
		}
	}
}

// TestReservedRoutingID checks that clients cannot use a routing id that begins with a zero
// byte: only a ROUTER assigns these. libzmq's ROUTER aborts if the next that it would assign is
// in use.
func TestReservedRoutingID(t *testing.T) {
	router := startPeer(t, zmtp.ROUTER)
	url, _ := start(t, usersOnly+routeTo("/d", "DEALER", router.endpoint, `routing_id = "client"`))
	o := plainLogin("alice", zmtp.DEALER)
	o.RoutingID = []byte("\x00\x00\x6b\x8b\x45")
	if got := refusal(t, url+"/d", o); got.Code != 4403 || got.Status != 400 {
		t.Errorf("%v, want 4403", got)
	}
	o.RoutingID = []byte("k\x00")
	connect(t, url+"/d", o)
	if id := <-router.ids; id != "k\x00" {
		t.Errorf("the backend got the routing id %q", id)
	}
}

// TestFailureLimit checks that after max_failures refused logins further ones are refused with
// 4429.
func TestFailureLimit(t *testing.T) {
	url, _ := start(t, usersOnly+"[server]\nmax_failures = 2\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	wrong := zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{User: "alice", Password: "x"}}
	for range 2 {
		if got := refusal(t, url+"/d", wrong); got.Code != 4400 {
			t.Fatalf("got %v, want 4400", got)
		}
	}
	for _, o := range []zws.DialOptions{wrong, plainLogin("alice", zmtp.SUB)} {
		if got := refusal(t, url+"/d", o); got.Code != 4429 || got.Status != 0 {
			t.Errorf("got %v, want 4429 without ERROR", got)
		}
	}
}

// TestConnectionLimit checks max_connections_per_ip.
func TestConnectionLimit(t *testing.T) {
	url, _ := start(t, usersOnly+"[server]\nmax_connections_per_ip = 2\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	for range 2 {
		connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	}
	if got := refusal(t, url+"/d", plainLogin("alice", zmtp.SUB)); got.Code != 4429 {
		t.Errorf("got %v, want 4429", got)
	}
}
