//go:build interop

package interop

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// operated runs a bridge with a listener for operators until the test ends. The text of its
// configuration depends on that listener's URL.
func (h *home) operated(text func(admin string) string) (url, admin string) {
	h.t.Helper()
	operators := httptest.NewUnstartedServer(nil)
	admin = "http://" + operators.Listener.Addr().String()
	b, err := bridge.New(h.load(text(admin)), bridge.Options{Logger: slog.New(slog.NewTextHandler(h.t.Output(), nil))})
	if err != nil {
		h.t.Fatal(err)
	}
	server := httptest.NewServer(b)
	operators.Config.Handler = b.Admin()
	operators.Start()
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			h.t.Error(err)
		}
		server.Close()
		operators.Close()
	})
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/", admin
}

// operate ends alice's session from the admin page in a browser.
func operate(t *testing.T, browser, url, admin string, login ...string) {
	t.Helper()
	client, err := alice(t, url, zmtp.SUB)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	end := closeCodeAtEnd(client)
	run(t, "node", append([]string{"peers/operator.mjs", browser, executableOf(t, browser), admin}, login...)...)
	if code := <-end; code != 4401 {
		t.Errorf("alice's session ends with %d, want 4401", code)
	}
}

// TestOperator uses the admin page by keyboard, with the token of token_file.
func TestOperator(t *testing.T) {
	for _, browser := range []string{"chromium", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			executableOf(t, browser)
			pub := start(t, "libzmq.mjs").bind(t, "PUB", nil)
			h := newHome(t)
			h.write("admin.token", "secret of this test\n")
			url, admin := h.operated(func(string) string {
				return allMechanisms + "[admin]\ntoken_file = \"admin.token\"\n" + route("SUB", pub.endpoint)
			})
			operate(t, browser, url, admin, "token", "secret of this test")
		})
	}
}

// TestOperatorByProvider is like TestOperator, with a login at a foreign OpenID Connect provider:
// the whole redirect, also for users that the provider or the bridge refuses.
func TestOperatorByProvider(t *testing.T) {
	for _, browser := range []string{"chromium", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			executableOf(t, browser)
			pub := start(t, "libzmq.mjs").bind(t, "PUB", nil)
			h := newHome(t)
			h.write("oidc.secret", "the page's own secret, of some length\n")
			var issuer string
			url, admin := h.operated(func(admin string) string {
				issuer = start(t, "oidclogin.mjs").open(t, command{Options: map[string]any{
					"client": "page", "secret": "the page's own secret, of some length", "redirect": admin + "/login/oidc/callback",
					"audience": "zwsbridge", "roles": map[string]any{"carol": []string{"head"}, "dave": []string{"zwsbridge.tag:monitoring"}},
				}}).endpoint
				return strings.Replace(allMechanisms, `{ authn = "users" }`, `{ authn = "users" }, { authn = "sso" }`, 1) + fmt.Sprintf(`
[auth.sso]
type = "jwt"
algorithms = ["ES256"]
issuer = %q
discovery = true
resource_server_id = "zwsbridge"
extra_scopes_source = "roles"
scope_aliases = { head = ["zwsbridge.tag:administrator"] }
timeout = "1m"
[admin]
url = %q
oidc = "sso"
oidc_client_id = "page"
oidc_client_secret_file = "oidc.secret"
oidc_params = { resource = "urn:zwsbridge", prompt = "login" }
`, issuer, admin) + route("SUB", pub.endpoint)
			})
			operate(t, browser, url, admin, "oidc", strings.TrimPrefix(issuer, "http://"))
		})
	}
}
