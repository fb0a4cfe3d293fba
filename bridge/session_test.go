package bridge_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestExpiry checks that a session ends when its login expires, and continues if a new token of the
// same user renews it.
func TestExpiry(t *testing.T) {
	handler := zapHandler(t, func(req *zap.Request) *zap.Reply {
		if req.Mechanism != zap.BEARER {
			return &zap.Reply{Status: zap.Refused}
		}
		user, life, _ := strings.Cut(string(req.Credentials[0]), " ")
		d, err := time.ParseDuration(life)
		if err != nil {
			return &zap.Reply{Status: zap.Refused}
		}
		end := fmt.Sprint(time.Now().Add(d).Unix())
		return &zap.Reply{Status: zap.OK, UserID: user, Metadata: zap.Metadata{{Name: "Expires", Value: end}}}
	})
	url, b := start(t, zapOnly(handler)+routeTo("/d", "SUB", silent(t, zmtp.PUB), `client_mechanisms = ["BEARER"]`))
	if got := refusal(t, url+"/d", bearerLogin("alice -1m", zmtp.SUB)); got.Code != 4401 {
		t.Errorf("a login that has already expired: %v, want 4401", got)
	}
	for life := 2 * time.Second; ; life *= 2 { // a slow machine needs more time to log in
		c, err := zws.Dial(t.Context(), url+"/d", bearerLogin("alice "+life.String(), zmtp.SUB))
		if zws.Cause(err).Code == 4401 && life < time.Hour {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := sessionEnd(t, c); got.Code != 4401 {
			t.Errorf("when the login expires: %v, want 4401", got)
		}
		break
	}
	c := connect(t, url+"/d", bearerLogin("alice 1h", zmtp.SUB))
	if err := c.Renew(t.Context(), "bob 1h"); err != nil {
		t.Fatal(err)
	}
	if got := sessionEnd(t, c); got.Code != 4401 {
		t.Errorf("renewal by another user: %v, want 4401", got)
	}
	c = connect(t, url+"/d", bearerLogin("alice 1h", zmtp.SUB))
	if err := c.Renew(t.Context(), "alice 2h"); err != nil {
		t.Fatal(err)
	}
	go c.Recv(t.Context())
	eventually(t, "a session of two hours", func() bool {
		list := b.Sessions()
		return len(list) == 1 && time.Until(list[0].Expires) > 90*time.Minute
	})
}

// TestListed checks that a client that was sent READY is among the sessions, so that an operator's
// kick reaches it.
func TestListed(t *testing.T) {
	url, b := muxBridge(t)
	m := dialMux(t, url+"/pair", "bob")
	for range 100 {
		has := func(route, dialect string) bool {
			return slices.ContainsFunc(b.Sessions(), func(s bridge.Session) bool { return s.Route == route && s.Dialect == dialect })
		}
		one := openMux(t, m, zws.ChannelOptions{Route: "/control"})
		if !has("/control", "ZWSMUX1.0") {
			t.Fatal("a channel is open and not listed")
		}
		_ = one.Close()
		eventually(t, "the channel has ended", func() bool { return !has("/control", "ZWSMUX1.0") })
		c := connect(t, url+"/control", plainLogin("alice", zmtp.DEALER))
		if n, err := b.Kick(0, "alice"); n != 1 || err != nil {
			t.Fatalf("kicked %d, %v: a client with READY is not listed", n, err)
		}
		if got := sessionEnd(t, c); got.Code != 4401 {
			t.Fatalf("the client ends with %v, want 4401", got)
		}
		eventually(t, "alice has left", func() bool { return !has("/control", "ZWS2.0/PLAIN") })
	}
}

// TestRevoked checks that a changed password and a kick end the sessions of the user.
func TestRevoked(t *testing.T) {
	var file string
	url, b := startIn(t, func(dir string) string {
		file = filepath.Join(dir, "users.htpasswd")
		return usersOnly + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	})
	alice := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	bob := connect(t, url+"/d", plainLogin("bob", zmtp.SUB))
	if err := htpasswd.Set(file, "alice", "another"); err != nil {
		t.Fatal(err)
	}
	if got := sessionEnd(t, alice); got.Code != 4401 {
		t.Errorf("after a changed password: %v, want 4401", got)
	}
	if list := b.Sessions(); len(list) != 1 || list[0].User != "bob" {
		t.Fatalf("sessions left: %+v, want bob's", list)
	}
	if n, err := b.Kick(0, "bob"); n != 1 || err != nil {
		t.Fatalf("kicked %d, %v", n, err)
	}
	if got := sessionEnd(t, bob); got.Code != 4401 {
		t.Errorf("after a kick: %v, want 4401", got)
	}
}

// TestReload checks that changed rules and other backends apply to a live session, and that the
// session ends if its route gets another socket or no rule names its user.
func TestReload(t *testing.T) {
	one, two := silent(t, zmtp.PUB), silent(t, zmtp.PUB)
	socket := zmtp.SUB
	text := func(endpoint, rule string) string {
		return usersOnly + routeTo("/d", socket, endpoint, "allow = [ { "+rule+" } ]")
	}
	var dir string
	url, b := startIn(t, func(d string) string { dir = d; return text(one, `user = "*", subscribe = ["a/", "b/"]`) })
	alice := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	reload(t, b, dir, text(one, `user = "*", subscribe = ["b/"]`))
	if err := alice.Subscribe(t.Context(), []byte("b/")); err != nil {
		t.Fatal(err)
	}
	if err := alice.Subscribe(t.Context(), []byte("a/")); err != nil {
		t.Fatal(err)
	}
	if got := sessionEnd(t, alice); got.Code != 4403 {
		t.Errorf("subscription that the new rules do not allow: %v, want 4403", got)
	}
	alice = connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	reload(t, b, dir, text(two, `user = "*", subscribe = ["b/"]`))
	if n := len(b.Sessions()); n != 1 {
		t.Errorf("%d sessions with other backends, want that it stays", n)
	}
	socket = zmtp.XSUB
	reload(t, b, dir, text(two, `user = "*", subscribe = ["b/"]`))
	if got := sessionEnd(t, alice); got.Code != 1001 {
		t.Errorf("another socket: %v, want 1001", got)
	}
	alice = connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	reload(t, b, dir, text(two, `user = "bob", subscribe = ["b/"]`))
	if got := sessionEnd(t, alice); got.Code != 4403 {
		t.Errorf("no rule for the user: %v, want 4403", got)
	}
}

// TestBackendReconnect checks that sessions stay when a backend is restarted, and that their
// subscriptions are restored.
func TestBackendReconnect(t *testing.T) {
	endpoint, stop := listenAt(t, unusedEndpoint(t), zmtp.PUB, zap.NULL, always(zap.OK), publish(message("a", "before")))
	url, _ := start(t, usersOnly+routeTo("/d", "SUB", endpoint))
	c := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	if err := c.Subscribe(t.Context(), []byte("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recv(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	_, stop = listenAt(t, endpoint, zmtp.PUB, zap.NULL, always(zap.OK), publish(message("a", "after")))
	defer stop()
	for {
		m, err := c.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if string(m[1]) == "after" {
			return
		}
	}
}

// TestSlowClient checks that a client that does not read is disconnected with 4508 if on_full
// says so.
func TestSlowClient(t *testing.T) {
	url, _ := start(t, usersOnly+routeTo("/d", "SUB", publisher(t, zmtp.Message{[]byte("a"), make([]byte, 1000)}),
		"high_water_mark = 10", `on_full = "disconnect"`))
	c := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	if err := c.Subscribe(t.Context(), []byte("a")); err != nil {
		t.Fatal(err)
	}
	if got := sessionEnd(t, c); got.Code != 4508 {
		t.Errorf("got %v, want 4508", got)
	}
}

// TestAdminAPI checks the requests that operators and their programs make.
func TestAdminAPI(t *testing.T) {
	url, b := startIn(t, func(dir string) string {
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte("an admin token\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return usersOnly + "[admin]\ntoken_file = \"token\"\n" + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	})
	alice := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	(&operator{t: t, admin: admin.URL}).waitForSession("/d")
	ask := func(method, path, body string, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, admin.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			if header[i] == "Host" {
				r.Host = header[i+1]
			}
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	token := []string{"Authorization", "Bearer an admin token"}
	change := append(token, "Content-Type", "application/json")
	for _, tc := range []struct {
		name         string
		method, path string
		body         string
		header       []string
		status       int
		contains     string
	}{
		{"live", "GET", "/livez", "", nil, 200, "ok"},
		{"ready", "GET", "/readyz", "", nil, 200, `{"degraded":[]}`},
		{"metrics", "GET", "/metrics", "", nil, 200, `zwsbridge_sessions{dialect="ZWS2.0/PLAIN",route="/d"} 1`},
		{"metrics through a proxy", "GET", "/metrics", "", []string{"X-Forwarded-For", "192.0.2.1"}, 401, ""},
		{"live through a proxy", "GET", "/livez", "", []string{"X-Forwarded-For", "192.0.2.1"}, 200, "ok"},
		{"ready through a proxy", "GET", "/readyz", "", []string{"X-Forwarded-For", "192.0.2.1"}, 200, "ready\n"},
		{"ready through a proxy with a token", "GET", "/readyz", "", append(token, "X-Forwarded-For", "192.0.2.1"), 200, `{"degraded":[]}`},
		{"ready through a proxy with a wrong token", "GET", "/readyz", "", []string{"X-Forwarded-For", "192.0.2.1", "Authorization", "Bearer wrong"}, 401, ""},
		{"reload of a program that does not", "POST", "/reload", "{}", change, 501, "does not reload"},
		{"another Host", "GET", "/livez", "", []string{"Host", "evil.example"}, 421, ""},
		{"localhost in upper case", "GET", "/livez", "", []string{"Host", "LocalHost:1"}, 200, "ok"},
		{"sessions without a login", "GET", "/sessions", "", nil, 401, ""},
		{"sessions with a wrong token", "GET", "/sessions", "", []string{"Authorization", "Bearer wrong"}, 401, ""},
		{"sessions", "GET", "/sessions", "", token, 200, `"user":"alice"`},
		{"sessions, scheme in lower case", "GET", "/sessions", "", []string{"Authorization", "bearer an admin token"}, 200, `"user":"alice"`},
		{"backends", "GET", "/backends", "", token, 200, `"state":"ready"`},
		{"refusals", "GET", "/refusals?user=nobody", "", token, 200, `[]`},
		{"profile", "GET", "/debug/pprof/goroutine?debug=1", "", token, 200, "goroutine profile: total"},
		{"profile of the processor", "GET", "/debug/pprof/profile?seconds=0.01", "", token, 200, ""},
		{"profile without a login", "GET", "/debug/pprof/heap", "", nil, 401, ""},
		{"profile that does not exist", "GET", "/debug/pprof/cmdline", "", token, 404, `unknown profile "cmdline"`},
		{"profile for too long", "GET", "/debug/pprof/profile?seconds=1000", "", token, 400, "up to 120"},
		{"kick by a form", "POST", "/sessions/kick", `{"user":"alice"}`, token, 415, ""},
		{"kick from another origin", "POST", "/sessions/kick", `{"user":"alice"}`, append(change, "Origin", "https://evil.example"), 403, ""},
		{"kick without a user", "POST", "/sessions/kick", `{}`, change, 400, ""},
		{"kick", "POST", "/sessions/kick", `{"user":"alice"}`, change, 200, `"kicked":1`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, text := ask(tc.method, tc.path, tc.body, tc.header...)
			if status != tc.status || !strings.Contains(text, tc.contains) {
				t.Errorf("%d %s, want %d and %s", status, text, tc.status, tc.contains)
			}
		})
	}
	if got := sessionEnd(t, alice); got.Code != 4401 {
		t.Errorf("after the kick: %v, want 4401", got)
	}
	// The listener of the clients has none of it.
	admin.URL = strings.Replace(url, "ws", "http", 1)
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/sessions", "/debug/pprof/heap"} {
		if status, _ := ask("GET", path, "", token...); status != http.StatusNotFound {
			t.Errorf("%s of the listener for clients: %d, want 404", path, status)
		}
	}
}
