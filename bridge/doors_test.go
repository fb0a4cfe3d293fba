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

// Each test of this file tries a door that must stay shut.

// TestBindDoor has a resident's password tried where controllers dial in, and a
// controller's key where residents log in.
func TestBindDoor(t *testing.T) {
	endpoint := strings.Replace(nobody(t), "localhost", "127.0.0.1", 1)
	url, _ := startIn(t, func(dir string) string {
		keys := filepath.Join(dir, "controllers")
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
domain = "residents"
chain = [ { authn = "users" }, { authn = "controllers", domains = ["devices"] } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.controllers]
type = "curve"
dir = "controllers"
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

	t.Run("controller where controllers dial in", func(t *testing.T) {
		c, err := zmtp.Dial(t.Context(), endpoint, good, pub)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
	t.Run("resident's password where controllers dial in", func(t *testing.T) {
		_, err := zmtp.Dial(t.Context(), endpoint, zmtp.Plain{User: "alice", Password: "alice's secret"}, pub)
		if _, ok := errors.AsType[*zmtp.MechanismError](err); !ok {
			t.Errorf("got %v, want another mechanism", err)
		}
	})
	t.Run("unknown key where controllers dial in", func(t *testing.T) {
		_, err := zmtp.Dial(t.Context(), endpoint, zmtp.Curve{Public: strangerKey.Public, Secret: strangerKey.Secret, ServerKey: nativeKey.Public}, pub)
		if refused, ok := errors.AsType[*zmtp.RefusedError](err); !ok || refused.Status != zap.Refused {
			t.Errorf("got %v, want a refusal with 400", err)
		}
	})
	t.Run("controller's key where residents log in", func(t *testing.T) {
		got := refusal(t, url+"/d", zws.DialOptions{SocketType: zmtp.SUB, Security: good})
		if got.Code != 4400 {
			t.Errorf("got %v, want 4400", got)
		}
	})
}

// TestRightsDoors tries to get at others' topics.
func TestRightsDoors(t *testing.T) {
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
		{"another's house", "/own", zmtp.SUB, message("\x01house/bob/"), 4403},
		{"all houses", "/own", zmtp.SUB, message("\x01"), 4403},
		{"a wildcard", "/own", zmtp.SUB, message("\x01house/+/"), 4403},
		{"a name that begins with one's own", "/own", zmtp.SUB, message("\x01house/alice2/"), 4403},
		{"a topic that is too long", "/own", zmtp.SUB, zmtp.Message{append([]byte("\x01house/alice/"), make([]byte, 1<<10)...)}, 4403},
		{"a message on SUB", "/own", zmtp.SUB, message("hello"), 1002},
		{"sending to another's house", "/send", zmtp.DEALER, message("house/bob/switch", "on"), 4403},
		{"one's own topic in another frame", "/send", zmtp.DEALER, message("house/bob/switch", "house/alice/switch"), 4403},
		{"one's own topic behind a delimiter", "/send", zmtp.DEALER, message("", "house/alice/switch"), 4403},
		{"an empty message", "/send", zmtp.DEALER, message(""), 4403},
		{"REQ to another's house", "/req", zmtp.REQ, message("", "house/bob/switch"), 4403},
		{"REQ with one's own topic before the delimiter", "/req", zmtp.REQ, message("house/alice/switch", "", "house/bob/switch"), 4403},
		{"REQ without a delimiter", "/req", zmtp.REQ, message("house/alice/switch"), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := connect(t, url+tc.path, byPassword("alice", tc.as))
			if err := c.Send(tc.message); err != nil {
				t.Fatal(err)
			}
			_, err := c.Recv()
			got, ok := errors.AsType[*zws.CloseError](err)
			if !ok || tc.code != 0 && got.Code != tc.code {
				t.Errorf("got %v, want %d", err, tc.code)
			}
		})
	}
}

// TestSubscriptionsDoor: one client may not fill our memory.
func TestSubscriptionsDoor(t *testing.T) {
	url, _ := start(t, usersOnly+"[server]\nmax_subscriptions = 1000\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	c := connect(t, url+"/d", byPassword("alice", zmtp.SUB))
	done := make(chan error, 1)
	go func() {
		_, err := c.Recv()
		done <- err
	}()
	for i := range 100_000 {
		if c.Subscribe(fmt.Appendf(nil, "topic %d", i)) != nil {
			break
		}
	}
	if got, ok := errors.AsType[*zws.CloseError](<-done); !ok || got.Code != 4403 {
		t.Errorf("got %v, want 4403 after 1000 subscriptions", got)
	}
}

// TestCookieDoor: a page from elsewhere may not use the cookie that the browser sends for
// it, even where any origin may connect.
func TestCookieDoor(t *testing.T) {
	tokens := native27(t, func(req *zap.Request) *zap.Reply {
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
		t.Errorf("cookie from a foreign page: %v, want 4400", got)
	}
}

// TestUserDoor: a name that is empty, or means more than a name, opens nobody's house.
func TestUserDoor(t *testing.T) {
	var user string
	handler := native27(t, func(*zap.Request) *zap.Reply { return &zap.Reply{Status: zap.OK, UserID: user} })
	url, _ := startIn(t, func(dir string) string {
		writeKey(t, dir, "alice", bridgeKey)
		return zapOnly(handler) +
			routeTo("/own", "SUB", silent(t, zmtp.PUB), `allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`) +
			routeTo("/key", "SUB", native(t, zmtp.PUB, zap.CURVE, answer(zap.OK)),
				`mechanism = "CURVE"`, `cert = "{user}"`, fmt.Sprintf("server_key = %q", certs.EncodeKey(nativeKey.Public)))
	})
	for _, user = range []string{"", "+", "#", "*", "a/b", "../alice"} {
		if got := refusal(t, url+"/own", byPassword("alice", zmtp.SUB)); got.Code != 4403 {
			t.Errorf("user %q on a route for {user}: %v, want 4403", user, got)
		}
	}
	for _, user = range []string{"", "+", "#", "*", "a/b", "../alice", "..", ".alice", "alice_secret", "bob"} {
		if got := refusal(t, url+"/key", byPassword("alice", zmtp.SUB)); got.Code != 4403 {
			t.Errorf("user %q with a key of its own: %v, want 4403", user, got)
		}
	}
	user = "alice"
	for _, path := range []string{"/own", "/key"} {
		connect(t, url+path, byPassword("alice", zmtp.SUB))
	}
}

// TestEndpointsDoor: a client that names an endpoint in its URL, as webtalk's do, gets that
// one or nothing, in whichever dialect.
func TestEndpointsDoor(t *testing.T) {
	url, _ := start(t, usersOnly+routeTo("/d", "DEALER", "tcp://127.0.0.1:1", `ready = "none"`))
	for _, tt := range []struct {
		query string
		code  zws.Code // 0: taken
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

// TestRoutingIDDoor: a routing id that begins with 00 is the backend's to give. libzmq's
// ROUTER aborts when the next that it would give is taken.
func TestRoutingIDDoor(t *testing.T) {
	router := peering(t, zmtp.ROUTER)
	url, _ := start(t, usersOnly+routeTo("/d", "DEALER", router.endpoint, `routing_id = "client"`))
	o := byPassword("alice", zmtp.DEALER)
	o.RoutingID = []byte("\x00\x00\x6b\x8b\x45")
	if got := refusal(t, url+"/d", o); got.Code != 4403 || got.Status != 400 {
		t.Errorf("%v, want 4403", got)
	}
	o.RoutingID = []byte("k\x00")
	connect(t, url+"/d", o)
	if id := <-router.ids; id != "k\x00" {
		t.Errorf("the backend knows %q", id)
	}
}

// TestFailures: who guesses is made to wait, and then shut out for a while.
func TestFailures(t *testing.T) {
	url, _ := start(t, usersOnly+"[server]\nmax_failures = 2\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	wrong := zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{User: "alice", Password: "x"}}
	for range 2 {
		if got := refusal(t, url+"/d", wrong); got.Code != 4400 {
			t.Fatalf("got %v, want 4400", got)
		}
	}
	for _, o := range []zws.DialOptions{wrong, byPassword("alice", zmtp.SUB)} {
		if got := refusal(t, url+"/d", o); got.Code != 4429 || got.Status != 0 {
			t.Errorf("got %v, want 4429 without ERROR", got)
		}
	}
}

// TestConnectionsDoor: an address gets as many connections as the limit says.
func TestConnectionsDoor(t *testing.T) {
	url, _ := start(t, usersOnly+"[server]\nmax_connections_per_ip = 2\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	for range 2 {
		connect(t, url+"/d", byPassword("alice", zmtp.SUB))
	}
	if got := refusal(t, url+"/d", byPassword("alice", zmtp.SUB)); got.Code != 4429 {
		t.Errorf("got %v, want 4429", got)
	}
}
