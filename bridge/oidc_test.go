package bridge_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// startAdmin starts a bridge whose operators log in with the provider, and returns the URL of the
// operators' page. more are additional lines of [admin].
func (p *provider) startAdmin(more string) string {
	p.t.Helper()
	server := httptest.NewUnstartedServer(nil)
	at := "http://" + server.Listener.Addr().String()
	_, b := startIn(p.t, func(dir string) string {
		if err := os.WriteFile(filepath.Join(dir, "oidc.secret"), []byte(oidcSecret+"\n"), 0o600); err != nil {
			p.t.Fatal(err)
		}
		file := ""
		if p.secret != "" {
			file = "oidc.secret"
		}
		return fmt.Sprintf(`
[admin]
url = %q
oidc = "sso"
oidc_client_id = %q
oidc_client_secret_file = %q
%s
[zap]
chain = [ { authn = "users" }, { authn = "sso" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.sso]
type = "jwt"
algorithms = ["ES256"]
issuer = %q
discovery = true
resource_server_id = "zwsbridge"
timeout = "2s"
`, at, oidcClient, file, more, p.server.URL)
	})
	server.Config.Handler = b.Admin()
	server.Start()
	p.t.Cleanup(server.Close)
	return server.URL
}

// browser is an HTTP client that keeps cookies by name. It does not follow redirects by itself.
type browser struct {
	t       *testing.T
	cookies map[string]*http.Cookie
}

func (b *browser) get(at string) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), "GET", at, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.cookies {
		if strings.HasPrefix(r.URL.Path, c.Path) {
			r.AddCookie(c)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { resp.Body.Close() })
	for _, c := range resp.Cookies() {
		if b.cookies == nil {
			b.cookies = make(map[string]*http.Cookie)
		}
		b.cookies[c.Name] = c
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return resp
}

// next returns the target of a redirect, or the status of another response.
func next(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		return resp.Status
	}
	return to.String()
}

// login follows the redirects of a login and returns where it ends: "/" on the page, the reason
// that the page is told, or another URL.
func (b *browser) login(page string) string {
	b.t.Helper()
	at := page + "/login/oidc"
	for range 3 { // to the provider, to the callback, to the page
		at = next(b.get(at))
		if at == page+"/" {
			return "/"
		}
		if reason, ok := strings.CutPrefix(at, page+"/#"); ok {
			return reason
		}
	}
	return at
}

// TestOIDCLogin checks that operators log in with a correct provider, and that their tags decide on
// their rights.
func TestOIDCLogin(t *testing.T) {
	for _, tc := range []struct {
		name, tags   string
		public       bool
		end          string
		look, change int
	}{
		{"administrator", "openid zwsbridge.tag:administrator", false, "/", 200, 200},
		{"monitoring", "zwsbridge.tag:monitoring", false, "/", 200, 403},
		{"public client", "zwsbridge.tag:administrator", true, "/", 200, 200},
		{"no tag", "zwsbridge.read:*/*", false, "login=untagged", 401, 401},
		{"another tag", "zwsbridge.tag:management", false, "login=untagged", 401, 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProvider(t, "")
			p.tags = tc.tags
			if tc.public {
				p.secret = ""
			}
			page := p.startAdmin(`oidc_scopes = ["openid", "zwsbridge.tag:administrator"]` + "\n" + `oidc_params = { resource = "urn:zwsbridge" }`)
			b := &browser{t: t}
			if end := b.login(page); end != tc.end {
				t.Fatalf("ends at %s, want %s", end, tc.end)
			}
			for name, want := range map[string]string{
				"response_type": "code", "client_id": oidcClient, "redirect_uri": page + "/login/oidc/callback",
				"scope": "openid zwsbridge.tag:administrator", "resource": "urn:zwsbridge", "code_challenge_method": "S256",
			} {
				if p.asked.Get(name) != want {
					t.Errorf("the request for a code has %s=%q, want %q", name, p.asked.Get(name), want)
				}
			}
			for _, name := range []string{"state", "nonce", "code_challenge"} {
				if len(p.asked.Get(name)) < 26 {
					t.Errorf("the request for a code has %s=%q, want at least 26 random characters", name, p.asked.Get(name))
				}
			}
			if p.sent.Get("code") != "the code" || p.sent.Get("redirect_uri") != page+"/login/oidc/callback" || p.sent.Get("resource") != "urn:zwsbridge" {
				t.Errorf("the request for tokens is %v", p.sent)
			}
			o := &operator{t: t, admin: page, cookie: b.cookies["zws_admin"]}
			if c := o.cookie; (c == nil) != (tc.look == 401) || c != nil && (!c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure) {
				t.Errorf("cookie %v: want HttpOnly and SameSite=Strict, and none without a tag", c)
			}
			if b.cookies["zws_admin_login"] != nil {
				t.Error("the ticket cookie was not deleted")
			}
			if resp := o.do("GET", "/sessions", "", ""); resp.StatusCode != tc.look {
				t.Errorf("sessions: %s, want %d", resp.Status, tc.look)
			}
			if resp := o.do("POST", "/sessions/kick", "application/json", `{"user":"nobody"}`); resp.StatusCode != tc.change {
				t.Errorf("kick: %s, want %d", resp.Status, tc.change)
			}
		})
	}
}

// TestOIDCFaultyProvider checks that a provider with a defect lets no operator in, and that the
// page is told the reason.
func TestOIDCFaultyProvider(t *testing.T) {
	for defect, end := range map[string]string{
		"access denied": "login=declined",
		"another state": "login=stale", "no state": "login=stale", "expired code": "login=stale",
		"response of another issuer": "login=failed", "unknown client": "login=failed",
		"no ID token": "login=failed", "wrong nonce": "login=failed", "no nonce": "login=failed", "ID token for another client": "login=failed",
		"ID token of another issuer": "login=failed", "expired ID token": "login=failed", "ID token for another access token": "login=failed",
		"unsigned ID token": "login=failed", "unknown key": "login=failed",
		"azp of another client": "login=failed", "an azp that is not a string": "login=failed", "an empty azp": "login=failed",
		"several audiences without azp": "login=failed", "several audiences, azp of another client": "login=failed",
		"another sub": "login=failed", "no sub": "login=failed", "iat far ahead": "login=failed", "no iat": "login=failed",
		"token of type DPoP": "login=failed", "token of type N_A": "login=failed",
		"access token for another audience": "login=refused",
		"discovery of another issuer":       "login=unavailable", "token endpoint without TLS": "login=unavailable",
		"authorization endpoint that is a script": "login=unavailable", "oversized discovery": "login=unavailable",
		"discovery that is a redirect": "login=unavailable", "discovery fails": "login=unavailable",
		"token endpoint fails": "login=unavailable", "token endpoint that is a redirect": "login=unavailable",
		"token endpoint that hangs": "login=unavailable", "oversized token response": "login=unavailable",
	} {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			page := newProvider(t, defect).startAdmin("")
			b := &browser{t: t}
			if got := b.login(page); got != end {
				t.Errorf("ends at %s, want %s", got, end)
			}
			if len(b.cookies) > 0 {
				t.Errorf("cookies were not deleted: %v", slices.Sorted(maps.Keys(b.cookies)))
			}
		})
	}
	t.Run("provider down", func(t *testing.T) {
		p := newProvider(t, "")
		page := p.startAdmin("")
		p.server.Close()
		b := &browser{t: t}
		if end := b.login(page); end != "login=unavailable" {
			t.Errorf("ends at %s, want login=unavailable", end)
		}
	})
}

// TestOIDCUnusualProvider checks that what the standard allows is accepted.
func TestOIDCUnusualProvider(t *testing.T) {
	for _, property := range []string{"our azp", "several audiences with our azp", "iat a little ahead", "token of type BEARER"} {
		t.Run(property, func(t *testing.T) {
			t.Parallel()
			b := &browser{t: t}
			if end := b.login(newProvider(t, property).startAdmin("")); end != "/" {
				t.Errorf("ends at %s, want /", end)
			}
		})
	}
}

// TestOIDCTicket checks that only the browser that started a login can complete it, once.
func TestOIDCTicket(t *testing.T) {
	p := newProvider(t, "")
	page := p.startAdmin("")
	started := &browser{t: t}
	callback := next(started.get(next(started.get(page + "/login/oidc"))))
	ticket := started.cookies["zws_admin_login"]
	if ticket == nil || !ticket.HttpOnly || ticket.SameSite != http.SameSiteLaxMode || ticket.Path != "/login/oidc" || ticket.MaxAge != 600 {
		t.Fatalf("ticket %v: want HttpOnly, SameSite=Lax, ten minutes and the path /login/oidc", ticket)
	}
	changed := *ticket
	changed.Value = strings.Repeat("A", 8) + ticket.Value[8:]
	other := &browser{t: t}
	other.get(page + "/login/oidc")
	for name, cookie := range map[string]*http.Cookie{
		"no ticket": nil, "modified": &changed, "of another login": other.cookies["zws_admin_login"],
		"not base64": {Name: "zws_admin_login", Value: "!", Path: "/login/oidc"}, "too short": {Name: "zws_admin_login", Value: "AAAA", Path: "/login/oidc"},
	} {
		b := &browser{t: t, cookies: map[string]*http.Cookie{}}
		if cookie != nil {
			b.cookies[cookie.Name] = cookie
		}
		if to := next(b.get(callback)); to != page+"/#login=stale" {
			t.Errorf("%s: redirected to %s, want login=stale", name, to)
		}
	}
	copied := map[string]*http.Cookie{ticket.Name: ticket}
	if to := next(started.get(callback)); to != page+"/" {
		t.Errorf("the browser that started the login: redirected to %s", to)
	}
	if to := next(started.get(callback)); to != page+"/#login=stale" {
		t.Errorf("a second time: redirected to %s, want login=stale", to)
	}
	// The cookie is gone; who has kept it cannot use it either.
	if to := next((&browser{t: t, cookies: copied}).get(callback)); to != page+"/#login=stale" {
		t.Errorf("a second time with the same ticket: redirected to %s, want login=stale", to)
	}
}

// TestOIDCSession checks that the login of an operator ends with the token and by logging out, and
// that logging out returns the URL of the provider's logout page.
func TestOIDCSession(t *testing.T) {
	t.Run("logout", func(t *testing.T) {
		p := newProvider(t, "")
		page := p.startAdmin("")
		b := &browser{t: t}
		b.login(page)
		o := &operator{t: t, admin: page, cookie: b.cookies["zws_admin"]}
		if resp := o.do("GET", "/summary", "", ""); resp.StatusCode != 200 {
			t.Fatalf("%s", resp.Status)
		}
		resp := o.do("POST", "/logout", "application/json", "{}")
		text, err := io.ReadAll(resp.Body)
		want := fmt.Sprintf(`{"oidc":"%s/end?client_id=operators%%27+page\u0026of=session"}`, p.server.URL)
		if err != nil || resp.StatusCode != 200 || strings.TrimSpace(string(text)) != want {
			t.Errorf("%s %s, want %s", resp.Status, text, want)
		}
		if resp := o.do("GET", "/summary", "", ""); resp.StatusCode != 401 {
			t.Errorf("after the logout: %s", resp.Status)
		}
	})
	t.Run("expired token", func(t *testing.T) {
		page := newProvider(t, "short lifetime").startAdmin("")
		b := &browser{t: t}
		b.login(page)
		o := &operator{t: t, admin: page, cookie: b.cookies["zws_admin"]}
		eventually(t, "401 once the token has expired", func() bool {
			return o.do("GET", "/summary", "", "").StatusCode == 401
		})
	})
}

// TestOIDCHost checks that a login starts at the host of admin.url, since the provider
// redirects back to that host.
func TestOIDCHost(t *testing.T) {
	page := newProvider(t, "").startAdmin(`hosts = ["bridge.lan"]`)
	b := &browser{t: t}
	r, err := http.NewRequestWithContext(t.Context(), "GET", page+"/login/oidc", nil)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"bridge.lan": page + "/login/oidc?here", "evil.example": "421 Misdirected Request"} {
		r.Host = host
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if to := next(resp); to != want {
			t.Errorf("%s: redirected to %s, want %s", host, to, want)
		}
	}
	// Behind a proxy that does not pass the Host on there must be no redirect loop.
	r.Host, r.URL.RawQuery = "bridge.lan", "here"
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if to := next(resp); !strings.Contains(to, "/authorize?") {
		t.Errorf("behind a proxy: redirected to %s, want the provider", to)
	}
	if end := b.login(page); end != "/" {
		t.Errorf("ends at %s, want /", end)
	}
}

// TestOIDCNotConfigured checks that operators cannot log in with a provider without admin.oidc.
func TestOIDCNotConfigured(t *testing.T) {
	admin, _, _, _ := startAdmin(t)
	o := &operator{t: t, admin: admin}
	text, err := io.ReadAll(o.do("GET", "/login", "", "").Body)
	if err != nil || strings.TrimSpace(string(text)) != `{"form":"password"}` {
		t.Errorf("/login returns %s, want the form for passwords alone", text)
	}
	for _, path := range []string{"/login/oidc", "/login/oidc/callback?code=1&state=2"} {
		if resp := o.do("GET", path, "", ""); resp.StatusCode != 404 {
			t.Errorf("%s: %s, want 404", path, resp.Status)
		}
	}
	p := newProvider(t, "")
	b := &browser{t: t}
	text, err = io.ReadAll(b.get(p.startAdmin("") + "/login").Body)
	if want := `{"oidc":"` + strings.TrimPrefix(p.server.URL, "http://") + `","form":"token"}`; err != nil || strings.TrimSpace(string(text)) != want {
		t.Errorf("/login returns %s, want %s", text, want)
	}
}
