package demo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
)

// Residents are the users of the demo, each with a house of the same name.
var Residents = []string{"ann", "bob"}

// Home is the directory with what the demo generates at its first start and keeps: the keys
// of the bridge and the houses, the passwords and the admin token.
type Home struct {
	Dir       string
	Bridge    *certs.Certificate            // the bridge's key pair as a client of the houses
	Houses    map[string]*certs.Certificate // by resident
	Passwords map[string]string             // by resident
	Token     string                        // admin token
}

// Open reads the directory dir and generates what is missing. Only the owner can read it.
func Open(dir string) (*Home, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	h := &Home{Dir: dir, Houses: make(map[string]*certs.Certificate), Passwords: make(map[string]string)}
	var err error
	if h.Bridge, err = h.certificate("bridge"); err != nil {
		return nil, err
	}
	for _, name := range Residents {
		if h.Houses[name], err = h.certificate("house-" + name); err != nil {
			return nil, err
		}
		if h.Passwords[name], err = h.password(name); err != nil {
			return nil, err
		}
	}
	h.Token, err = readOrGenerate(filepath.Join(dir, "admin.token"), tokenSize)
	return h, err
}

// certificate reads the key pair called name, and generates it if it does not exist.
func (h *Home) certificate(name string) (*certs.Certificate, error) {
	file := filepath.Join(h.Dir, name)
	c, err := certs.ReadSecret(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	if c, err = certs.New(); err != nil {
		return nil, err
	}
	c.SetMeta("user-id", name)
	return c, c.Write(file)
}

// password reads the password of user, generates it if it does not exist, and sets it in
// the htpasswd file.
func (h *Home) password(user string) (string, error) {
	password, err := readOrGenerate(filepath.Join(h.Dir, user+".password"), passwordSize)
	if err != nil {
		return "", err
	}
	return password, htpasswd.Set(filepath.Join(h.Dir, "users.htpasswd"), user, password)
}

// The sizes of generated secrets, in characters of 5 bits. Nobody types the token.
const (
	passwordSize = 12
	tokenSize    = 26
)

// readOrGenerate reads a secret word from a file, and generates both, with that many characters,
// if the file does not exist.
func readOrGenerate(file string, size int) (string, error) {
	text, err := certs.ReadPrivate(file, 255)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(strings.ToLower(rand.Text()[:size]) + "\n")
		err = os.WriteFile(file, text, 0o600)
	}
	return strings.TrimSpace(string(text)), err
}

// Config returns the path of the bridge's configuration file.
func (h *Home) Config() string { return filepath.Join(h.Dir, "bridge.toml") }

// WriteConfig writes the configuration of a bridge that listens on the given addresses, with
// houses as its backends. It can serve as an example.
func (h *Home) WriteConfig(listen, admin string, houses []*House) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# Written by "zwsbridge demo" at every start.
[server]
listen = %q
tls = "self-signed"
key = "portal.key"

# The admin interface and its page.
[admin]
listen = %q
token_file = "admin.token"

[zap]
timeout = "30s" # bcrypt takes long on a small machine
chain = [ { authn = "users" } ]

[auth.users]
type = "htpasswd"
file = "users.htpasswd"

# The readings of all houses on one WebSocket. Users can read their own house, bob all houses.
[[route]]
path = "/devices"
socket = "SUB"
mechanism = "CURVE"
cert = "bridge"
ready = "all"
allow = [
  { user = "*", subscribe = ["house/{user}/"] },
  { user = "bob", subscribe = ["house/"] },
]
connect = [
`, listen, admin)
	for _, house := range houses {
		fmt.Fprintf(&b, "  { endpoint = %q, server_key = %q },\n", house.Readings(), certs.EncodeKey(h.Houses[house.name].Public))
	}
	b.WriteString(`]
# Ten minutes of readings, so that a page that is reloaded begins with them.
[route.history]
topics = ["house/"]
max_age = "10m"
last_value = "ask"
`)
	for _, house := range houses {
		fmt.Fprintf(&b, `
# Commands to the house of %[1]s; no other user can send them.
[[route]]
path = "/house/%[1]s"
socket = "REQ"
mechanism = "CURVE"
cert = "bridge"
connect = [ { endpoint = %[2]q, server_key = %[3]q } ]
allow = [ { user = "%[1]s", send = ["target", "light"] } ]
`, house.name, house.Commands(), certs.EncodeKey(h.Houses[house.name].Public))
	}
	return os.WriteFile(h.Config(), []byte(b.String()), 0o600)
}
