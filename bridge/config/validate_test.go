package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// handMade returns a configuration that a program might make, without faults.
func handMade() *Config {
	c := Default()
	c.Zap.Chain = []ChainEntry{{Authn: "sso"}, {Authn: "app"}}
	c.Auth = map[string]Auth{
		"sso": {Settings: &JWT{
			Algorithms: []string{"RS256"}, JWKSURL: "https://idp.example/keys", Issuer: "https://idp.example", ResourceServerID: "id",
		}},
		"app": {Type: "http", Settings: &HTTP{UserPath: "http://127.0.0.1:8000/user"}},
	}
	c.Routes = []Route{{
		Path:    "/devices",
		Socket:  zmtp.SUB,
		Connect: []Endpoint{{Endpoint: "tcp://127.0.0.1:5556"}},
		Allow:   []AllowRule{{User: "*", Subscribe: []string{"house/{user}/"}}},
	}}
	return c
}

// TestValidateFillsIn checks that a configuration made in Go gets the defaults of the same
// configuration in a file.
func TestValidateFillsIn(t *testing.T) {
	got, faults := Validate(handMade(), ValidateOptions{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want, faults := load("", `
zap.chain = [{ authn = "sso" }, { authn = "app" }]
[auth.sso]
type = "jwt"
algorithms = ["RS256"]
jwks_url = "https://idp.example/keys"
issuer = "https://idp.example"
resource_server_id = "id"
[auth.app]
type = "http"
user_path = "http://127.0.0.1:8000/user"
[[route]]
path = "/devices"
socket = "SUB"
connect = ["tcp://127.0.0.1:5556"]
allow = [{ user = "*", subscribe = ["house/{user}/"] }]
`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want.File = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestValidateKeepsItsArgument checks that Validate changes a copy, and that a second
// validation changes nothing.
func TestValidateKeepsItsArgument(t *testing.T) {
	c := handMade()
	once, faults := Validate(c, ValidateOptions{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if diff := cmp.Diff(handMade(), c); diff != "" {
		t.Errorf("the argument was changed:\n%s", diff)
	}
	if twice, faults := Validate(once, ValidateOptions{}); !cmp.Equal(once, twice) || len(faults) > 0 {
		t.Errorf("%v\n%s", faults, cmp.Diff(once, twice))
	}
}

// TestValidateLoaded checks that files that are right stay so when they are validated again,
// with explicit zeros and keys whose defaults depend on others.
func TestValidateLoaded(t *testing.T) {
	dir := configDir(t)
	for _, text := range []string{
		users + aRoute,
		users + aRoute + "relay = true\n",
		users + aRoute + "separator = \"\"\n",
		users + aRoute + "credentials = \"client\"\n",
		"zap.chain = [{ authn = \"app\" }]\nauth.app = { type = \"http\", user_path = \"http://127.0.0.1/\", cache = \"0s\" }\n" + aRoute,
	} {
		text = strings.ReplaceAll(text, `subscribe = ["#"], send = ["#"]`, `subscribe = [""], send = [""]`)
		c, faults := load(dir, text)
		if len(faults) > 0 {
			t.Errorf("%s\n%v", text, faults)
			continue
		}
		again, faults := Validate(c, ValidateOptions{})
		if diff := cmp.Diff(c, again); diff != "" || len(faults) > 0 {
			t.Errorf("%s\n%v\n%s", text, faults, diff)
		}
	}
}

func TestValidateExplicitZeros(t *testing.T) {
	c := handMade()
	c.Server.PingInterval, c.Server.Drain = 0, 0
	c.Routes[0].Separator = new("")
	c.Routes[0].Allow[0].Subscribe = []string{"house"}
	c.Auth["app"].Settings.(*HTTP).Cache = new(time.Duration(0))
	c.Auth["sso"].Settings.(*JWT).ScopePrefix = new("")
	got, faults := Validate(c, ValidateOptions{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	sso, _ := got.JWT("sso")
	if got.Server.PingInterval != 0 || *got.Routes[0].Separator != "" || *got.Auth["app"].Settings.(*HTTP).Cache != 0 || *sso.ScopePrefix != "" {
		t.Errorf("an explicit zero was replaced: %+v", got)
	}
}

// TestValidateFaults checks faults of configurations made in Go. They have no line.
func TestValidateFaults(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		`server.listen: is "": want host:port`:             func(c *Config) { c.Server = Server{} },
		`auth.x: has no type: want "anonymous",`:           func(c *Config) { c.Auth["x"] = Auth{} },
		`auth.x: has the type "oauth": want "anonymous",`:  func(c *Config) { c.Auth["x"] = Auth{Type: "oauth"} },
		`auth.x: has the type "ip" and settings of type "`: func(c *Config) { c.Auth["x"] = Auth{Type: "ip", Settings: &Curve{Dir: "*"}} },
		`auth.x.file: missing`:                             func(c *Config) { c.Auth["x"] = Auth{Type: "htpasswd", Settings: (*Htpasswd)(nil)} },
		`route[0]: has no path`:                            func(c *Config) { c.Routes[0].Path = "" },
		`route[0]: has no socket`:                          func(c *Config) { c.Routes[0] = Route{Path: "/x"} },
		`route[0].high_water_mark: is -1`:                  func(c *Config) { c.Routes[0].HighWaterMark = -1 },
		`route[0].separator: is "ab"`:                      func(c *Config) { c.Routes[0].Separator = new("ab") },
		`route[0].stamp: has no effect with relay = true`: func(c *Config) {
			c.Routes[0].Relay, c.Routes[0].Stamp = true, StampFrame
		},
		`route[0].bind: has no effect with relay = true`: func(c *Config) {
			c.Routes[0].Relay, c.Routes[0].Bind = true, []string{"tcp://*:1"}
		},
		`route[0].client_mechanisms[0]: is "CURVE", and server.curve_cert does not exist`: func(c *Config) {
			c.Routes[0].ClientMechanisms = []zap.Mechanism{zap.CURVE}
		},
		`admin.oidc_client_id: needs admin.oidc`: func(c *Config) {
			c.Admin = Admin{Listen: "127.0.0.1:9090", OIDCClientID: "page"}
		},
	} {
		c := handMade()
		change(c)
		got, faults := Validate(c, ValidateOptions{})
		if err := faults.Err(); got != nil || err == nil || !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("want %s, got\n%v", want, err)
		}
	}
}

// TestValidateEmpty checks that nothing in an empty configuration panics.
func TestValidateEmpty(t *testing.T) {
	if c, faults := Validate(&Config{}, ValidateOptions{}); c != nil || faults.Err() == nil {
		t.Errorf("the zero Config is right: %v", faults)
	}
	for _, kind := range authTypes() {
		c := Default()
		c.Auth = map[string]Auth{"x": {Settings: authKinds[kind]()}}
		Validate(c, ValidateOptions{})
		if s, err := new(JWT).Options(); err != nil || s.ScopePrefix != "." {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

// TestOwnHandler checks that a program that decides on logins itself needs no chain.
func TestOwnHandler(t *testing.T) {
	c := handMade()
	c.Auth, c.Zap.Chain = nil, nil
	if _, faults := Validate(c, ValidateOptions{}); len(faults) != 1 || !strings.HasPrefix(faults[0].Text, "has no chain: nobody can log in") {
		t.Errorf("without a handler: %v", faults)
	}
	c.Routes[0].Bind, c.Routes[0].BindDomain, c.Routes[0].InsecureNull = []string{"ipc://x"}, "devices", true
	c.Routes[0].BindAllow = []PeerRule{{User: "*", Publish: []string{"#"}}}
	if _, faults := Validate(c, ValidateOptions{OwnHandler: true}); len(faults) != 1 || faults[0].Key != "route[0].insecure_null" {
		t.Errorf("with a handler: %v", faults)
	}
	c.Zap.Chain = []ChainEntry{{Authn: "x"}}
	c.Auth = map[string]Auth{"x": {Type: "anonymous"}}
	_, faults := Validate(c, ValidateOptions{OwnHandler: true})
	if text := fmt.Sprint(faults); !strings.Contains(text, "warning: zap.chain: has no effect: the program decides on logins itself") {
		t.Errorf("with a handler and a chain: %s", text)
	}
}

func TestParse(t *testing.T) {
	dir := configDir(t)
	c, faults := Parse(strings.NewReader(users+aRoute), filepath.Join(dir, "bridge.toml"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if s := c.Auth["users"].Settings.(*Htpasswd); s.File != Path(filepath.Join(dir, "certs/users")) {
		t.Errorf("file = %s, which is not beside the configuration", s.File)
	}
	if _, faults := Parse(strings.NewReader(strings.Repeat("#", maxConfig+1)), "F"); faults.Err() == nil || faults[0].String() != "F: is larger than 1 MiB" {
		t.Errorf("a text that is too large: %v", faults)
	}
}

// TestFingerprint checks that a fingerprint changes with the settings and with their files.
func TestFingerprint(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(ca, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	for _, kind := range []AuthKind{
		&JWT{CA: Path(ca), ScopePrefix: new("a")}, &HTTP{CA: Path(ca)}, &TokenEndpoint{CA: Path(ca)},
	} {
		write("one")
		first := kind.Fingerprint()
		if first == "" || first != kind.Fingerprint() {
			t.Errorf("%T: %q, then %q", kind, first, kind.Fingerprint())
		}
		write("two")
		if kind.Fingerprint() == first {
			t.Errorf("%T: another file has the same fingerprint", kind)
		}
	}
	if (&JWT{ScopePrefix: new("a")}).Fingerprint() == (&JWT{ScopePrefix: new("b")}).Fingerprint() {
		t.Error("other settings have the same fingerprint")
	}
}
