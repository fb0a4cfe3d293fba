package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Public keys of nobody in particular.
const (
	testKey  = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
	otherKey = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
)

// configDir returns a directory with the files that the configurations of the tests name.
func configDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"certs/server", "certs/bridge"} {
		cert, err := certs.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "certs"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := cert.Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := certs.SelfSigned(certs.SelfSignedOptions{Dir: filepath.Join(dir, "certs")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"peers", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{
		"certs/users": 0o600, "certs/password": 0o600, "certs/open": 0o644, "www/index.html": 0o644, "secret/token": 0o600,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"good.json": `["tcp://10.0.0.1:1", {"endpoint": "ipc://run/x"}]`, "bad.json": `["tcp://10.0.0.1:1", "tcp://{user}:1"]`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// load parses text as the file F in dir.
func load(dir, text string) (*Config, Faults) {
	env := map[string]string{"PORT": "8443", "PASSWORD": "very secret", "EMPTY": "", "QUOTED": `a"b`}
	return parse("F", dir, text, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
}

func mustLoad(t *testing.T, dir, text string) *Config {
	t.Helper()
	c, faults := load(dir, text)
	if err := faults.Err(); err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	dir := configDir(t)
	c := mustLoad(t, dir, `
[admin]
[[route]]
path = "/sub"
socket = "SUB"
connect = ["tcp://127.0.0.1:1"]
[[route]]
path = "/login"
socket = "DEALER"
connect = ["tcp://127.0.0.1:2"]
credentials = "client"
[[route]]
path = "/shared"
socket = "REQ"
connect = ["tcp://127.0.0.1:3"]
share = "requests"
`)
	kept := RouteHistory{
		MaxBytes: 64 << 20, MaxAge: new(10 * time.Minute), LastValue: "ask", LastValueAge: 24 * time.Hour,
		MaxLastValues: 100000, QueueAge: 72 * time.Hour, MaxQueuesPerUser: 5,
	}
	sub := Route{
		Path: "/sub", Socket: zmtp.SUB, Connect: []Endpoint{{Endpoint: "tcp://127.0.0.1:1"}},
		Mechanism: zap.NULL, Credentials: "static", Domain: "global",
		ClientMechanisms: []zap.Mechanism{zap.PLAIN, zap.BEARER, zap.CURVE},
		Ready:            "any", ConnectTimeout: 5 * time.Second, Reconnect: Interval{100 * time.Millisecond, 10 * time.Second},
		HighWaterMark: 1000, HighWaterBytes: 4 << 20, OnFull: "drop-oldest",
		Envelope: EnvelopeNone, MaxSubscriptionBytes: 16 << 20, History: kept,
		Separator: new("/"), OnWide: "refuse",
	}
	login, shared := sub, sub
	login.Path, login.Socket, login.Connect = "/login", zmtp.DEALER, []Endpoint{{Endpoint: "tcp://127.0.0.1:2"}}
	login.Credentials, login.Mechanism, login.OnFull = "client", zap.PLAIN, "block"
	login.ClientMechanisms = []zap.Mechanism{zap.PLAIN}
	shared.Path, shared.Socket, shared.Connect = "/shared", zmtp.REQ, []Endpoint{{Endpoint: "tcp://127.0.0.1:3"}}
	shared.Share, shared.OnFull = "requests", "disconnect"
	want := &Config{
		File: "F", Dir: dir,
		Server: Server{
			Listen: "127.0.0.1:8443", TLS: "self-signed", CurveCert: Path(filepath.Join(dir, "certs/server")),
			HandshakeTimeout: 10 * time.Second, PingInterval: 25 * time.Second, WriteTimeout: 10 * time.Second, Drain: 10 * time.Second, HandoverDrain: 2 * time.Minute,
			MaxHandshake: 16 << 10, MaxMessage: 1 << 20, MaxFrames: 1000, MaxSubscriptions: 1000, MaxChannels: 100, MaxTopic: 1 << 10,
			MaxSubscriptionBytesPerUser: 1 << 20, MaxConnectionBytes: 16 << 20, MaxConnections: 10000, MaxFailures: 10,
		},
		Admin: Admin{Listen: "127.0.0.1:9090"},
		Log:   Log{Level: "info", Format: "auto", Repeat: time.Second},
		History: History{Store: "memory", Dir: Path(filepath.Join(dir, "history")), Sync: time.Second, NATS: HistoryNATS{
			Servers: []string{"nats://127.0.0.1:4222"}, Name: "zwsbridge", Replicas: 1, Lease: 3 * time.Second}},
		Zap:    Zap{Domain: "global", Timeout: 5 * time.Second},
		Routes: []Route{sub, login, shared},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if c := mustLoad(t, dir, ``); c.Admin.Listen != "" {
		t.Errorf("without [admin] there is an admin listener on %s", c.Admin.Listen)
	}
}

func TestValues(t *testing.T) {
	dir := configDir(t)
	c := mustLoad(t, dir, `
server.listen = "127.0.0.1:${PORT}"
server.trusted_proxies = ["10.1.2.3/8", "::ffff:10.0.0.0/104", "192.168.1.1"]
server.max_handshake = "16KiB"
server.max_message = 4096
server.max_topic = "2kB"
server.drain = "1m30s"
zap.listen = ["ipc://run/zap", "ipc://@zap"]
[auth.sso]
type = "jwt"
user_prefix = "sso-"
algorithms = ["RS256"]
resource_server_id = "id"
keys = "certs/portal.crt"
scope_aliases = { "a b" = "x y", c = ["z"] }
[auth.any]
type = "curve"
dir = "*"
[[route]]
path = "/r"
socket = "SUB"
connect = ["ipc://dev", { endpoint = "tcp://127.0.0.1:5556", server_key = "`+testKey+`" }]
mechanism = "CURVE"
server_key = "`+otherKey+`"
cert = "certs/bridge"
allow = []
`+"[[route]]\npath = \"/q\"\nsocket = \"SUB\"\nconnect = [\"ipc:///x\"]\n")
	if got, want := fmt.Sprint(c.Server.TrustedProxies), "[10.0.0.0/8 10.0.0.0/8 192.168.1.1/32]"; got != want {
		t.Errorf("trusted_proxies = %s, want %s", got, want)
	}
	if s := c.Server; s.Listen != "127.0.0.1:8443" || s.MaxHandshake != 16384 || s.MaxMessage != 4096 || s.MaxTopic != 2000 || s.Drain != 90*time.Second {
		t.Errorf("server = %+v", s)
	}
	if diff := cmp.Diff([]string{"ipc://" + filepath.Join(dir, "run/zap"), "ipc://@zap"}, c.Zap.Listen); diff != "" {
		t.Error(diff)
	}
	sso := Auth{Type: "jwt", UserPrefix: "sso-", Settings: &JWT{
		Algorithms: []string{"RS256"}, Keys: Paths{Path(filepath.Join(dir, "certs/portal.crt"))},
		ResourceServerID: "id", ScopePrefix: new("id."), ScopeAliases: map[string]Words{"a b": {"x", "y"}, "c": {"z"}},
		ExtraScopesMode: "add", RequireExp: new(true), RequireAud: new(true), Timeout: 5 * time.Second,
	}}
	if diff := cmp.Diff(sso, c.Auth["sso"]); diff != "" {
		t.Error(diff)
	}
	if dir := c.Auth["any"].Settings.(*Curve).Dir; dir != "*" {
		t.Errorf(`dir = "*" became %s`, dir)
	}
	r := c.Routes[0]
	if r.Connect[0].Endpoint != "ipc://"+filepath.Join(dir, "dev") || r.Connect[0].ServerKey.IsZero() || r.Connect[0].ServerKey != r.ServerKey {
		t.Errorf("connect = %+v", r.Connect)
	}
	if key, _ := certs.DecodeKey(testKey); r.Connect[1].ServerKey != CurveKey(key) {
		t.Error("the server_key of the endpoint was ignored")
	}
	if r.Allow == nil || c.Routes[1].Allow != nil {
		t.Error("an empty allow and no allow are the same")
	}
}

// TestEnvironment checks that variables are expanded after parsing, once, in strings only, and
// that faults do not show their values.
func TestEnvironment(t *testing.T) {
	_, faults := load(configDir(t), `
[server]
listen = "${PASSWORD}"
tls = "x${QUOTED}"
cert = "${MISSING}/x"
origins = ["${PASSWORD}/${EMPTY}"]
max_message = "${PASSWORD}"
static = "${PASSWORD}"
`)
	text := faults.Err().Error()
	for _, secret := range []string{"very secret", `a"b`, `a\"b`} {
		if strings.Contains(text, secret) {
			t.Errorf("the faults show %q:\n%s", secret, text)
		}
	}
	for _, want := range []string{
		`F:3: server.listen: is "${PASSWORD}"`,
		`F:4: server.tls: is "x${QUOTED}"`,
		`F:5: server.cert: ${MISSING} is not set in the environment`,
		`F:7: server.max_message: is "${PASSWORD}"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the faults lack %q:\n%s", want, text)
		}
	}
}

// TestReferenceInKey checks that a key that looks like a variable in places is a key.
func TestReferenceInKey(t *testing.T) {
	text := "0${a}" + testKey[5:]
	if _, err := certs.DecodeKey(text); err != nil {
		t.Fatal(err)
	}
	_, faults := load(configDir(t), fmt.Sprintf(`
[[route]]
path = "/d"
socket = "DEALER"
server_key = %q
connect = [{ endpoint = "tcp://127.0.0.1:1", server_key = %q }]
`, text, text))
	if strings.Contains(fmt.Sprint(faults.Err()), "environment") {
		t.Error(faults.Err())
	}
}

// TestAnnotatedFile checks that bridge.toml is right as it is and documents every key, and no
// other.
func TestAnnotatedFile(t *testing.T) {
	text, err := os.ReadFile("../../bridge.toml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "bridge.toml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	c, faults := Load(file)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.MakeMissing(); err != nil {
		t.Fatal(err)
	}
	if _, faults := Load(file); len(faults) != 0 {
		t.Errorf("after the first start: %v", faults)
	}
	all := regexp.MustCompile(`(?m)^#([a-z\[])`).ReplaceAllString(string(text), "$1")
	all = regexp.MustCompile(`(?m)^mechanism = "NULL" .*\n|server_key = ""(, )?`).ReplaceAllString(all, "")
	_, faults = parse("F", dir, all, os.LookupEnv)
	for _, f := range faults {
		if strings.Contains(f.Text, "unknown key") || strings.Contains(f.Text, ": want a ") || f.Line == 0 && !f.Warning {
			t.Errorf("with every key set: %v", f)
		}
	}
	for _, key := range configKeys(reflect.TypeFor[Config](), nil) {
		if !regexp.MustCompile(`(?m)^#?(` + key + ` = |\[+([a-z]+\.)?` + key + `[.\]])|[{,] ` + key + ` = `).Match(text) {
			t.Errorf("bridge.toml does not document %s", key)
		}
	}
}

// configKeys returns the names of all keys below t.
func configKeys(t reflect.Type, keys []string) []string {
	switch t.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		return configKeys(t.Elem(), keys)
	case reflect.Struct:
		if t == reflect.TypeFor[Auth]() {
			for _, withDefaults := range authKinds {
				keys = configKeys(reflect.TypeOf(withDefaults()), keys)
			}
		}
		for i := range t.NumField() {
			if name := t.Field(i).Tag.Get("toml"); name != "" && name != "-" {
				keys = configKeys(t.Field(i).Type, append(keys, name))
			}
		}
	}
	return keys
}

func TestMakeMissing(t *testing.T) {
	dir := t.TempDir()
	c := mustLoad(t, dir, `
[auth.users]
type = "htpasswd"
file = "new/users"
[auth.controllers]
type = "curve"
dir = "new/controllers"
`)
	for range 2 {
		if err := c.MakeMissing(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "new/users"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of users: %v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "new/controllers")); err != nil || !info.IsDir() {
		t.Errorf("the directory of keys: %v", err)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	if _, faults := Load(filepath.Join(dir, "none")); faults.Err() == nil || !strings.Contains(faults.Err().Error(), ": cannot be read: ") || !strings.Contains(faults.Err().Error(), "no such file") {
		t.Errorf("a file that does not exist: %v", faults)
	}
	large := filepath.Join(dir, "large")
	for _, tt := range []struct {
		size int
		ok   bool
	}{{maxConfig, true}, {maxConfig + 1, false}} {
		if err := os.WriteFile(large, []byte(strings.Repeat("#", tt.size)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, faults := Load(large); (faults.Err() == nil) != tt.ok {
			t.Errorf("%d bytes: %v", tt.size, faults.Err())
		}
	}
}

func TestBindChain(t *testing.T) {
	c := &Config{
		Zap:    Zap{Domain: "global", Chain: []ChainEntry{{Authn: "users"}, {Authn: "controllers", Domains: []string{"devices", "x"}}}},
		Routes: []Route{{Domain: "global"}, {Domain: "house", BindDomain: "devices"}, {Domain: "house", BindDomain: "devices"}},
	}
	if diff := cmp.Diff([]ChainEntry{c.Zap.Chain[1]}, c.BindChain("devices")); diff != "" {
		t.Errorf("an entry that does not name the domain answers for it:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"global", "house"}, c.ClientDomains()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"devices"}, c.BindDomains()); diff != "" {
		t.Error(diff)
	}
}
