package bridge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	adminapi "github.com/zwsbridge/zwsbridge/bridge/internal/admin"
	bridgemetrics "github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// startAdmin serves the operators' interface of a bridge with one SUB route "/d", the admin token
// "the token", and a chain that takes tokens made of a user and tags: "carol administrator".
func startAdmin(t *testing.T) (admin, routes, tokenFile string, b *bridge.Bridge) {
	t.Helper()
	handler := zapHandler(t, func(req *zap.Request) *zap.Reply {
		user, tags, ok := strings.Cut(string(req.Credentials[0]), " ")
		if req.Mechanism != zap.BEARER || !ok {
			return &zap.Reply{Status: zap.Refused}
		}
		reply := &zap.Reply{Status: zap.OK, UserID: user, Metadata: zap.Metadata{{Name: "Tags", Value: tags}}}
		if user == "expired" {
			reply.Metadata = append(reply.Metadata, zap.Property{Name: "Expires", Value: strconv.FormatInt(time.Now().Add(-time.Minute).Unix(), 10)})
		}
		return reply
	})
	routes, b = startIn(t, func(dir string) string {
		tokenFile = filepath.Join(dir, "token")
		if err := os.WriteFile(tokenFile, []byte("the token\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`
[server]
origins = ["https://portal.example", "*"]
max_connections = 50
[admin]
token_file = "token"
[zap]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "tokens" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.tokens]
type = "zap"
endpoint = %q
[auth.sso]
type = "jwt"
algorithms = ["ES256"]
issuer = "https://login.example/realms/home"
jwks_url = "https://login.example/jwks.json"
resource_server_id = "zwsbridge"
[[route]]
path = "/d"
socket = "SUB"
mechanism = "NULL"
connect = [%q]
`, handler, silent(t, zmtp.PUB))
	})
	server := httptest.NewServer(b.Admin())
	t.Cleanup(server.Close)
	return server.URL, routes, tokenFile, b
}

// operator is an HTTP client that keeps a cookie and follows no redirects.
type operator struct {
	t      *testing.T
	admin  string
	cookie *http.Cookie
}

// do sends a request. header are names and values of additional headers.
func (o *operator) do(method, path, contentType, body string, header ...string) *http.Response {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), method, o.admin+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if o.cookie != nil {
		r.AddCookie(o.cookie)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// login posts the form and keeps the cookie.
func (o *operator) login(form url.Values) *http.Response {
	o.t.Helper()
	resp := o.do("POST", "/login", "application/x-www-form-urlencoded", form.Encode())
	for _, c := range resp.Cookies() {
		o.cookie = c
	}
	return resp
}

// TestAdminLogin checks which logins by the form of the page or of a provider are accepted, and
// what their cookie allows.
func TestAdminLogin(t *testing.T) {
	admin, _, tokenFile, _ := startAdmin(t)
	for _, tc := range []struct {
		name                string
		form                url.Values
		login, look, change int
	}{
		{"admin token", url.Values{"access_token": {"the token"}}, 303, 200, 200},
		{"administrator", url.Values{"access_token": {"carol administrator"}}, 303, 200, 200},
		{"monitoring", url.Values{"access_token": {"dave monitoring"}}, 303, 200, 403},
		{"another tag", url.Values{"access_token": {"erin management"}}, 403, 401, 401},
		{"wrong token", url.Values{"access_token": {"wrong"}}, 401, 401, 401},
		{"expired", url.Values{"access_token": {"expired administrator"}}, 401, 401, 401},
		{"user without tags", url.Values{"user": {"alice"}, "password": {"alice's secret"}}, 403, 401, 401},
		{"wrong password", url.Values{"user": {"alice"}, "password": {"wrong"}}, 401, 401, 401},
		{"empty", url.Values{}, 400, 401, 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := &operator{t: t, admin: admin}
			if resp := o.login(tc.form); resp.StatusCode != tc.login {
				t.Errorf("login: %s, want %d", resp.Status, tc.login)
			}
			if c := o.cookie; c != nil && (!c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.MaxAge != 0 || !c.Expires.IsZero()) {
				t.Errorf("cookie %v: want HttpOnly, SameSite=Strict and no expiry", c)
			}
			if (o.cookie != nil) != (tc.login == 303) {
				t.Errorf("cookie %v after status %d", o.cookie, tc.login)
			}
			for _, path := range []string{"/summary", "/sessions", "/backends"} {
				if resp := o.do("GET", path, "", ""); resp.StatusCode != tc.look {
					t.Errorf("%s: %s, want %d", path, resp.Status, tc.look)
				}
			}
			if resp := o.do("POST", "/sessions/kick", "application/json", `{"user":"nobody"}`); resp.StatusCode != tc.change {
				t.Errorf("kick: %s, want %d", resp.Status, tc.change)
			}
			if resp := o.do("GET", "/debug/pprof/goroutine", "", ""); resp.StatusCode != tc.change { // it shows arguments and paths
				t.Errorf("profile: %s, want %d", resp.Status, tc.change)
			}
		})
	}

	t.Run("forged cookie", func(t *testing.T) {
		o := &operator{t: t, admin: admin, cookie: &http.Cookie{Name: "zws_admin", Value: "forged"}}
		if resp := o.do("GET", "/summary", "", ""); resp.StatusCode != 401 {
			t.Errorf("%s, want 401", resp.Status)
		}
	})
	t.Run("requests of other origins", func(t *testing.T) {
		o := &operator{t: t, admin: admin}
		o.login(url.Values{"access_token": {"the token"}})
		for _, tc := range []struct {
			path, kind, origin string
			status             int
		}{
			{"/sessions/kick", "application/x-www-form-urlencoded", "", 415},
			{"/sessions/kick", "text/plain", "", 415},
			{"/sessions/kick", "application/json", "https://evil.example", 403},
			{"/sessions/kick", "application/json", "null", 403},
			{"/logout", "application/x-www-form-urlencoded", "", 415},
			{"/logout", "application/json", "https://evil.example", 403},
			{"/sessions/kick", "application/json", admin, 200},
		} {
			var header []string
			if tc.origin != "" {
				header = []string{"Origin", tc.origin}
			}
			if resp := o.do("POST", tc.path, tc.kind, `{"user":"nobody"}`, header...); resp.StatusCode != tc.status {
				t.Errorf("%s with %s from %q: %s, want %d", tc.path, tc.kind, tc.origin, resp.Status, tc.status)
			}
		}
	})
	t.Run("login forms of other origins", func(t *testing.T) {
		for origin, status := range map[string]int{
			"": 303, admin: 303, "https://portal.example": 303, "https://login.example": 303,
			"https://evil.example": 403, "http://login.example": 403, "null": 403, "*": 403,
		} {
			o := &operator{t: t, admin: admin}
			var header []string
			if origin != "" {
				header = []string{"Origin", origin}
			}
			resp := o.do("POST", "/login", "application/x-www-form-urlencoded", "access_token=the+token", header...)
			if resp.StatusCode != status {
				t.Errorf("from %q: %s, want %d", origin, resp.Status, status)
			}
		}
	})
	t.Run("large forms", func(t *testing.T) {
		const limit = 64 << 10
		for size, status := range map[int]int{limit: 303, limit + 1: 400} {
			o := &operator{t: t, admin: admin}
			form := "access_token=the+token&more="
			if resp := o.do("POST", "/login", "application/x-www-form-urlencoded", form+strings.Repeat("x", size-len(form))); resp.StatusCode != status {
				t.Errorf("%d bytes: %s, want %d", size, resp.Status, status)
			}
		}
	})
	t.Run("logout", func(t *testing.T) {
		o := &operator{t: t, admin: admin}
		o.login(url.Values{"access_token": {"the token"}})
		if resp := o.do("POST", "/logout", "application/json", `{}`); resp.StatusCode != 204 {
			t.Errorf("%s, want 204", resp.Status)
		}
		if resp := o.do("GET", "/summary", "", ""); resp.StatusCode != 401 {
			t.Errorf("after the logout: %s, want 401", resp.Status)
		}
	})
	t.Run("changed token", func(t *testing.T) {
		o := &operator{t: t, admin: admin}
		o.login(url.Values{"access_token": {"the token"}})
		if err := os.WriteFile(tokenFile, []byte("another\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if resp := o.do("GET", "/summary", "", ""); resp.StatusCode != 401 {
			t.Errorf("%s, want 401: the file has another token now", resp.Status)
		}
	})
}

// waitForSession waits until the metrics count a session on the route, which is shortly after
// its client got READY.
func (o *operator) waitForSession(route string) {
	o.t.Helper()
	want := fmt.Sprintf("zwsbridge_sessions{dialect=\"ZWS2.0/PLAIN\",route=%q} 1\n", route)
	eventually(o.t, want, func() bool {
		text, err := io.ReadAll(o.do("GET", "/metrics", "", "").Body)
		if err != nil {
			o.t.Fatal(err)
		}
		return strings.Contains(string(text), want)
	})
}

// TestAdminSummary checks what /summary and /metrics report.
func TestAdminSummary(t *testing.T) {
	admin, routes, _, _ := startAdmin(t)
	connect(t, routes+"/d", plainLogin("alice", zmtp.SUB))
	if _, err := dial(t.Context(), routes+"/nowhere", "alice", zmtp.SUB); err == nil {
		t.Fatal("connected to a route that does not exist")
	}
	o := &operator{t: t, admin: admin}
	o.waitForSession("/d")
	var s adminapi.Summary
	resp := o.do("GET", "/summary", "", "", "Authorization", "Bearer dave monitoring")
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	if s.Operator != "dave" || s.May != "monitoring" || s.Connections != 1 || s.MaxConnections != 50 {
		t.Errorf("%+v", s)
	}
	if len(s.Routes) != 1 || s.Routes[0].Path != "/d" || s.Routes[0].Socket != "SUB" || s.Routes[0].Sessions != 1 {
		t.Errorf("routes %+v", s.Routes)
	}
	if len(s.Refusals) != 1 || s.Refusals[0] != (bridgemetrics.CodeCount{Route: "none", Code: "4404", Number: 1}) {
		t.Errorf("refusals %+v", s.Refusals)
	}
	if len(s.Logins) != 2 || s.Logins[1] != (bridgemetrics.LoginCount{Authenticator: "users", Status: "200", Number: 1}) {
		t.Errorf("logins %+v", s.Logins)
	}
	text, err := io.ReadAll(o.do("GET", "/metrics", "", "").Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"zwsbridge_connections 1\n",
		`zwsbridge_backends{route="/d",state="ready"} 1`,
		`zwsbridge_queued_messages{route="/d"} 0`,
		`zwsbridge_queued_bytes{route="/d"} 0`,
		`zwsbridge_handshake_seconds_count{route="/d"} 1`,
		`zwsbridge_backend_handshake_seconds_count{route="/d"} 1`,
		`zwsbridge_refusals_total{code="4404",route="none"} 1`,
		"go_goroutines ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("/metrics does not contain %s", want)
		}
	}
}

// TestAdminPage checks that the page is served without a login and loads nothing from other hosts.
func TestAdminPage(t *testing.T) {
	admin, _, _, _ := startAdmin(t)
	o := &operator{t: t, admin: admin}
	for path, kind := range map[string]string{"/": "text/html", "/admin.css": "text/css", "/admin.js": "text/javascript",
		"/codes.js": "text/javascript", "/format.js": "text/javascript", "/pages.js": "text/javascript", "/sparkline.js": "text/javascript", "/table.js": "text/javascript"} {
		resp := o.do("GET", path, "", "")
		if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %s %s", path, resp.Status, resp.Header.Get("Content-Type"))
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	for _, path := range []string{"/index.html", "/page/", "/page.go"} {
		if resp := o.do("GET", path, "", ""); resp.StatusCode != 404 {
			t.Errorf("%s: %s, want 404", path, resp.Status)
		}
	}
}
