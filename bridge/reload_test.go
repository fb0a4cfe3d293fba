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

// TestReloadLogins: a live session ends when a reload leaves its login one that would be
// refused, be it by the chain, by who has to agree or by the route, and stays otherwise.
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
` + service.config() + routeTo("/d", "SUB", silent(t, zmtp.PUB), `client_mechanisms = ["PLAIN", "BEARER"]`)
	const addresses, lan = `["127.0.0.0/8"]`, `, authz = ["lan"] }`
	type change = []string // old, new …
	for name, c := range map[string]struct {
		change change
		want   zws.Code // 0: it stays
	}{
		"an address that is allowed still":         {change{addresses, `["10.0.0.0/8", "127.0.0.1"]`}, 0},
		"an address that is not allowed now":       {change{addresses, `["10.0.0.0/8"]`}, 4401},
		"an address that is denied now":            {change{addresses, addresses + "\ndeny = [\"127.0.0.1\"]"}, 4401},
		"an address that an entry behind allows":   {change{addresses, `["10.0.0.0/8"]`, lan, lan + `, { authn = "users" }`}, 4401},
		"nobody has to agree any more":             {change{lan, `}`}, 0},
		"somebody has to agree who was not asked":  {change{lan, `, authz = ["lan", "app"] }`}, 1001},
		"an entry that is for another domain":      {change{lan, lan[:len(lan)-1] + `, domains = ["attic"] }`}, 4401},
		"another entry in front":                   {change{`chain = [`, `chain = [ { authn = "app" },`}, 0},
		"another name for the user":                {change{`"htpasswd"`, "\"htpasswd\"\nuser_prefix = \"x-\""}, 4401},
		"an entry of another type":                 {change{"\"htpasswd\"\nfile = \"users.htpasswd\"", `"anonymous"`}, 4401},
		"an entry by address":                      {change{"\"htpasswd\"\nfile = \"users.htpasswd\"", "\"ip\"\nallow = " + addresses}, 4401},
		"a route of another domain":                {change{`"SUB"`, "\"SUB\"\ndomain = \"attic\""}, 1001},
		"a mechanism that the route takes no more": {change{`["PLAIN", "BEARER"]`, `["BEARER"]`}, 1001},
	} {
		t.Run(name, func(t *testing.T) {
			var dir string
			url, b := startIn(t, func(d string) string { dir = d; return text })
			alice := connect(t, url+"/d", byPassword("alice", zmtp.SUB))
			reload(t, b, dir, strings.NewReplacer(c.change...).Replace(text))
			if left := len(b.Sessions()); (left == 1) != (c.want == 0) {
				t.Fatalf("%d sessions left, want the end by %d (0: none)", left, c.want)
			}
			if c.want == 0 {
				return
			}
			if got := ended(t, alice); got.Code != c.want {
				t.Errorf("%v, want %d", got, c.want)
			}
		})
	}
}

// TestReloadOperators: the cookie of an operator is good for as long as the login is.
func TestReloadOperators(t *testing.T) {
	service := newHTTPService(t, func(string, func(string) string) bool { return true })
	text := zapOnly(native27(t, func(*zap.Request) *zap.Reply {
		return &zap.Reply{Status: zap.OK, UserID: "carol", Metadata: zap.Metadata{{Name: "Tags", Value: "monitoring"}}}
	})) + service.config() + routeTo("/d", "SUB", silent(t, zmtp.PUB))
	const entry = `{ authn = "handler" }`
	for name, c := range map[string]struct {
		entry string
		want  int
	}{
		"nothing changes":                         {entry, 200},
		"somebody has to agree who was not asked": {`{ authn = "handler", authz = ["app"] }`, 401},
		"an entry for another domain":             {`{ authn = "handler", domains = ["attic"] }`, 401},
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

// TestRevokedWhileRenewed: a key that is removed while a renewal by its token is being
// judged does not keep the session alive.
func TestRevokedWhileRenewed(t *testing.T) {
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
	o := byToken(i.token("zwsbridge.read:*/*"), zmtp.SUB)
	renewed := make(chan struct{}, 1)
	o.Notice = func(zws.Notice) { renewed <- struct{}{} }
	c := connect(t, url+"/d", o)

	second, err := jwt.ReadSigningKey(i.file("second"), "")
	if err != nil {
		t.Fatal(err)
	}
	i.key = second
	token := i.token("zwsbridge.read:*/*")
	if err := c.Renew(token); err != nil {
		t.Fatal(err)
	}
	<-renewing
	if err := os.Remove(i.file("second")); err != nil {
		t.Fatal(err)
	}
	for { // the folder is read soon
		other, err := zws.Dial(t.Context(), url+"/d", byToken(token, zmtp.SUB))
		if err != nil {
			break
		}
		other.Close()
		time.Sleep(20 * time.Millisecond)
	}
	close(release)
	go func() {
		<-renewed
		c.Close()
	}()
	if got := ended(t, c); got.Code != 4401 {
		t.Errorf("renewed by the token of a key that is gone: %v, want 4401", got)
	}
	close(renewed)
}
