package bridge_test

import (
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestReloadLogins checks that a reload ends a live session if its login would be refused now,
// by the chain, an authorizer or the route, and that the session stays otherwise.
func TestReloadLogins(t *testing.T) {
	service := newHTTPService(t, func(string, func(string) string) bool { return true })
	text := `
[zap]
timeout = "1m"
chain = [ { authn = "users", authz = ["lan"] } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.lan]
type = "ip"
allow = ["127.0.0.0/8"]
` + service.authTable() + routeTo("/d", "SUB", silent(t, zmtp.PUB), `client_mechanisms = ["PLAIN", "BEARER"]`)
	const addresses, lan = `["127.0.0.0/8"]`, `, authz = ["lan"] }`
	type change = []string // old, new …
	for name, c := range map[string]struct {
		change change
		want   zws.Code // 0: the session stays
	}{
		"address still allowed":             {change{addresses, `["10.0.0.0/8", "127.0.0.1"]`}, 0},
		"address no longer allowed":         {change{addresses, `["10.0.0.0/8"]`}, 4401},
		"address denied now":                {change{addresses, addresses + "\ndeny = [\"127.0.0.1\"]"}, 4401},
		"allowed by a later entry only":     {change{addresses, `["10.0.0.0/8"]`, lan, lan + `, { authn = "users" }`}, 4401},
		"authorizer removed":                {change{lan, `}`}, 0},
		"authorizer added":                  {change{lan, `, authz = ["lan", "app"] }`}, 1001},
		"entry for another domain":          {change{lan, lan[:len(lan)-1] + `, domains = ["attic"] }`}, 4401},
		"another entry before it":           {change{`chain = [`, `chain = [ { authn = "app" },`}, 0},
		"another user name":                 {change{`"htpasswd"`, "\"htpasswd\"\nuser_prefix = \"x-\""}, 4401},
		"entry of another type":             {change{"\"htpasswd\"\nfile = \"users.htpasswd\"", `"anonymous"`}, 4401},
		"entry by address":                  {change{"\"htpasswd\"\nfile = \"users.htpasswd\"", "\"ip\"\nallow = " + addresses}, 4401},
		"route of another domain":           {change{`"SUB"`, "\"SUB\"\ndomain = \"attic\""}, 1001},
		"mechanism not accepted any longer": {change{`["PLAIN", "BEARER"]`, `["BEARER"]`}, 1001},
	} {
		t.Run(name, func(t *testing.T) {
			var dir string
			url, b := startIn(t, func(d string) string { dir = d; return text })
			alice := connect(t, url+"/d", plainLogin("alice", zmtp.SUB))
			reload(t, b, dir, strings.NewReplacer(c.change...).Replace(text))
			if left := len(b.Sessions()); (left == 1) != (c.want == 0) {
				t.Fatalf("%d sessions left, want the close code %d (0: the session stays)", left, c.want)
			}
			if c.want == 0 {
				return
			}
			if got := sessionEnd(t, alice); got.Code != c.want {
				t.Errorf("%v, want %d", got, c.want)
			}
		})
	}
}

// TestReloadOperators checks that the cookie of an operator is valid as long as the login is.
func TestReloadOperators(t *testing.T) {
	service := newHTTPService(t, func(string, func(string) string) bool { return true })
	text := zapOnly(zapHandler(t, func(*zap.Request) *zap.Reply {
		return &zap.Reply{Status: zap.OK, UserID: "carol", Metadata: zap.Metadata{{Name: "Tags", Value: "monitoring"}}}
	})) + service.authTable() + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	const entry = `{ authn = "handler" }`
	for name, c := range map[string]struct {
		entry string
		want  int
	}{
		"unchanged":                {entry, 200},
		"authorizer added":         {`{ authn = "handler", authz = ["app"] }`, 401},
		"entry for another domain": {`{ authn = "handler", domains = ["attic"] }`, 401},
	} {
		t.Run(name, func(t *testing.T) {
			var dir string
			_, b := startIn(t, func(d string) string { dir = d; return text })
			server := httptest.NewServer(b.Admin())
			t.Cleanup(server.Close)
			o := &operator{t: t, admin: server.URL}
			o.login(url.Values{"access_token": {"carol's"}})
			reload(t, b, dir, strings.Replace(text, entry, c.entry, 1))
			if resp := o.do("GET", "/summary", "", ""); resp.StatusCode != c.want {
				t.Errorf("%s, want %d", resp.Status, c.want)
			}
		})
	}
}

// TestRevokedDuringRenewal checks that a session ends if the key of a new token is removed
// while the renewal is being authenticated.
func TestRevokedDuringRenewal(t *testing.T) {
	var asked atomic.Int64
	renewing, release := make(chan struct{}), make(chan struct{})
	service := newHTTPService(t, func(string, func(string) string) bool {
		if asked.Add(1) == 2 { // the first is the login
			close(renewing)
			<-release
		}
		return true
	})
	i := &issuer{t: t}
	url, _ := startIn(t, func(dir string) string {
		i.dir = filepath.Join(dir, "jwt")
		if err := os.Mkdir(i.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		i.newKey("second")
		i.key = i.newKey("first")
		return `
[zap]
timeout = "1m"
chain = [ { authn = "sso", authz = ["app"] } ]
[auth.app]
type = "http"
timeout = "1m"
vhost_path = "` + service.URL + `/vhost"
[auth.sso]
type = "jwt"
algorithms = ["ES256"]
keys = ["jwt"]
issuer = "https://idp.example"
resource_server_id = "zwsbridge"
` + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	})
	o := bearerLogin(i.token("zwsbridge.read:*/*"), zmtp.SUB)
	renewed := make(chan struct{}, 1)
	o.Notify = func(zws.Notification) { renewed <- struct{}{} }
	c := connect(t, url+"/d", o)

	second, err := jwt.ReadSigningKey(i.keyFile("second"), "")
	if err != nil {
		t.Fatal(err)
	}
	i.key = second
	token := i.token("zwsbridge.read:*/*")
	if err := c.Renew(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	<-renewing
	if err := os.Remove(i.keyFile("second")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a refusal once the bridge has read the directory", func() bool {
		other, err := zws.Dial(t.Context(), url+"/d", bearerLogin(token, zmtp.SUB))
		if err != nil {
			return true
		}
		other.Close()
		time.Sleep(20 * time.Millisecond) // fewer logins
		return false
	})
	close(release)
	go func() {
		<-renewed
		c.Close()
	}()
	if got := sessionEnd(t, c); got.Code != 4401 {
		t.Errorf("renewed with a token of a removed key: %v, want 4401", got)
	}
	close(renewed)
}
