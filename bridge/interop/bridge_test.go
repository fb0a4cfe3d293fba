//go:build interop

package interop

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secrets has the passwords of the users of every bridge, made for each run.
var secrets = map[string]string{"alice": rand.Text(), "bob": rand.Text()}

// users returns the text of an htpasswd file with all of them. It is made once, because bcrypt
// is slow by design.
var users = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "users.htpasswd")
	for user, secret := range secrets {
		if err := htpasswd.Set(file, user, secret); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(file)
})

// home is a directory with the files that a bridge needs.
type home struct {
	t   *testing.T
	dir string
	// server is the CURVE key pair of the bridge, controller one that it accepts.
	server, controller *certs.Certificate
}

// newHome makes a directory with users.htpasswd, the key pair "server", and the directory
// "controllers" with the public key of the controller.
func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{t: t, dir: t.TempDir()}
	text, err := users()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path("users.htpasswd"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	h.mkdir("controllers")
	h.server = h.cert("server")
	h.controller = h.cert("controllers/controller")
	// The directory holds public keys only.
	if err := os.Rename(h.path("controllers/controller_secret"), h.path("controller_secret")); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

func (h *home) mkdir(name string) {
	h.t.Helper()
	if err := os.Mkdir(h.path(name), 0o700); err != nil {
		h.t.Fatal(err)
	}
}

// cert makes a key pair and writes its public and its secret file.
func (h *home) cert(name string) *certs.Certificate {
	h.t.Helper()
	c, err := certs.New()
	if err == nil {
		err = c.Write(h.path(name))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// write writes a file that only its owner can read.
func (h *home) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// allMechanisms is the start of a configuration that accepts users by password, guests without
// a login and controllers by key. Its timeouts are long, like those of every bridge here, for a
// machine that is busy.
const allMechanisms = `
[server]
curve_cert = "server"
query_token = true
handshake_timeout = "1m"
[zap]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "guests" }, { authn = "controllers" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.guests]
type = "anonymous"
[auth.controllers]
type = "curve"
dir = "controllers"
`

// route returns the text of a route at "/" with more lines.
func route(socket, endpoint string, more ...string) string {
	if !strings.Contains(strings.Join(more, "\n"), "connect_timeout") {
		more = append(more, `connect_timeout = "1m"`)
	}
	return fmt.Sprintf("[[route]]\npath = \"/\"\nsocket = %q\nconnect = [%q]\n%s\n", socket, endpoint, strings.Join(more, "\n"))
}

// anyMechanism is a line of a route that accepts every mechanism.
const anyMechanism = `client_mechanisms = ["NULL", "PLAIN", "BEARER", "CURVE"]`

// load writes and reads a configuration.
func (h *home) load(text string) *config.Config {
	h.t.Helper()
	h.write("bridge.toml", text)
	c, faults := config.Load(h.path("bridge.toml"))
	if err := faults.Err(); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// bridge runs a bridge over plain HTTP on loopback until the test ends, and returns its URL.
func (h *home) bridge(text string) string {
	h.t.Helper()
	url, _ := h.bridgeAt("127.0.0.1:0", text)
	return url
}

// bridgeAt is like bridge, at the given address; end stops the bridge before the test ends.
func (h *home) bridgeAt(address, text string) (url string, end func()) {
	h.t.Helper()
	b, err := bridge.New(h.load(text), bridge.Options{Logger: slog.New(slog.NewTextHandler(h.t.Output(), nil))})
	if err != nil {
		h.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(b)
	server.Listener.Close()
	if server.Listener, err = net.Listen("tcp", address); err != nil {
		h.t.Fatal(err)
	}
	server.Start()
	end = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			h.t.Error(err)
		}
		server.Close()
	})
	h.t.Cleanup(end)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/", end
}

// alice logs in by password with the Go client.
func alice(t *testing.T, url string, as zmtp.SocketType, more ...func(*zws.DialOptions)) (*zws.Client, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o := zws.DialOptions{
		SocketType:       as,
		Security:         zmtp.Plain{User: "alice", Password: secrets["alice"]},
		HandshakeTimeout: patience,
	}
	for _, f := range more {
		f(&o)
	}
	return zws.Dial(ctx, url, o)
}
