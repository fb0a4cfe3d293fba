package auth

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// load reads a configuration from text, with its files in dir.
func load(t *testing.T, dir, text string) *config.Config {
	t.Helper()
	file := filepath.Join(dir, "bridge.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, faults := config.Load(file)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// newChain builds a chain that is closed at the end of the test.
func newChain(t *testing.T, c *config.Config, previous *Chain) *Chain {
	t.Helper()
	a, err := New(c, previous, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(nil) })
	return a
}

const guests = `
zap.chain = [{ authn = "guests" }]
auth.guests = { type = "anonymous" }
`

func null(domain string) *zap.Request {
	return &zap.Request{Domain: domain, Address: "192.0.2.1", Mechanism: zap.NULL}
}

func TestChainAnswersForClientsOnly(t *testing.T) {
	c := load(t, t.TempDir(), guests+`
[[route]]
path = "/d"
socket = "DEALER"
allow = []
bind = ["tcp://127.0.0.1:0"]
bind_domain = "devices"
insecure_null = true
`)
	a := newChain(t, c, nil)
	for domain, want := range map[string]zap.Status{"global": zap.OK, "devices": zap.Refused} {
		if reply, err := a.Authenticate(t.Context(), null(domain)); err != nil || reply.Status != want {
			t.Errorf("%s: %+v, %v, want %d", domain, reply, err, want)
		}
	}
}

// TestHandlerInsteadOfChain: a handler of the program decides in every domain, and revokes.
func TestHandlerInsteadOfChain(t *testing.T) {
	inner, err := zap.NewChain(zap.ChainOptions{
		Entries: []zap.Entry{{Name: "alice", Handler: onlyAlice}},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(load(t, t.TempDir(), guests), nil, Options{Handler: inner, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(nil)
	if reply, _ := a.Authenticate(t.Context(), null("global")); reply.Status != zap.Refused {
		t.Errorf("the configured chain was asked: %+v", reply)
	}
	reply, _ := a.Authenticate(t.Context(), &zap.Request{
		Domain: "devices", Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte("alice"), nil},
	})
	if reply.Status != zap.OK || a.Revoked(reply) || a.Unasked(reply) {
		t.Errorf("%+v, revoked %v, unasked %v", reply, a.Revoked(reply), a.Unasked(reply))
	}
}

// TestTakeOver: only clients whose settings and files are the same outlive a reload.
func TestTakeOver(t *testing.T) {
	dir := t.TempDir()
	text := `
zap.chain = [{ authn = "chat" }, { authn = "app" }, { authn = "users" }, { authn = "lan" }]
[auth.chat]
type = "token-endpoint"
url = "http://127.0.0.1:1/"
identity_map = "uuid4"
store = "ids"
[auth.app]
type = "http"
user_path = "http://127.0.0.1:1/"
[auth.users]
type = "htpasswd"
file = "users"
[auth.lan]
type = "ip"
allow = ["127.0.0.1"]
`
	file := filepath.Join(dir, "users")
	if err := htpasswd.Set(file, "alice", "secret"); err != nil {
		t.Fatal(err)
	}
	first := newChain(t, load(t, dir, text), nil)
	same := newChain(t, load(t, dir, text), first)
	for name, want := range map[string]bool{"chat": true, "app": true, "users": true, "lan": false} {
		if got := same.authenticators[name] == first.authenticators[name]; got != want {
			t.Errorf("%s is the same after a reload: %v, want %v", name, got, want)
		}
	}
	if err := htpasswd.Set(file, "bob", "secret"); err != nil {
		t.Fatal(err)
	}
	changed := newChain(t, load(t, dir, strings.Replace(text, "[auth.app]", "single_token = true\n[auth.app]", 1)), same)
	if changed.authenticators["chat"] == same.authenticators["chat"] {
		t.Error("a client with other settings was taken over")
	}
	if changed.authenticators["users"] == same.authenticators["users"] {
		t.Error("users whose file has changed were taken over, with their verified passwords")
	}
	if len(changed.stores) != 1 || !maps.Equal(changed.stores, same.stores) {
		t.Error("the open identity store was not taken over")
	}
	if err := first.Close(same); err != nil {
		t.Error(err)
	}
	if err := same.Close(changed); err != nil {
		t.Error(err)
	}
	if found, err := changed.Identities("alice", ""); err != nil || len(found) != 0 {
		t.Errorf("the store was closed by the chains before: %v, %v", found, err)
	}
}

func TestIdentities(t *testing.T) {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"userID":"alice"}`))
	}))
	defer endpoint.Close()
	a := newChain(t, load(t, t.TempDir(), `
zap.chain = [{ authn = "chat" }]
[auth.chat]
type = "token-endpoint"
url = "`+endpoint.URL+`"
identity_map = "uuid4"
store = "ids"
`), nil)
	reply, err := a.Authenticate(t.Context(), &zap.Request{Domain: "global", Mechanism: zap.BEARER, Credentials: [][]byte{[]byte("a.b.c")}})
	if err != nil || reply.Status != zap.OK {
		t.Fatalf("%+v, %v", reply, err)
	}
	want := []Identity{{Auth: "chat", User: "alice", ID: reply.UserID}}
	for _, query := range [][2]string{{"alice", ""}, {"", reply.UserID}} {
		found, err := a.Identities(query[0], query[1])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
}

func TestListenTakesOver(t *testing.T) {
	text := guests + "zap.listen = [\"ipc://%s\"]\n"
	dir := t.TempDir()
	// The path of a socket is short on every system; the directory of a test may be long.
	sockets, err := os.MkdirTemp("", "zap")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(sockets)
	listen := func(name string, previous *Servers) *Servers {
		t.Helper()
		c := load(t, dir, strings.Replace(text, "%s", filepath.Join(sockets, name), 1))
		s, err := Listen(c, previous, onlyAlice, slog.New(slog.DiscardHandler), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close(nil) })
		return s
	}
	first := listen("a", nil)
	again := listen("a", first)
	if !maps.Equal(first.open, again.open) {
		t.Error("an open endpoint was not taken over")
	}
	other := listen("b", again)
	again.Close(other)
	if _, err := os.Stat(filepath.Join(sockets, "a")); err == nil {
		t.Error("an endpoint that was removed is still open")
	}
	if err := os.Mkdir(filepath.Join(dir, "clients"), 0o700); err != nil {
		t.Fatal(err)
	}
	last := other
	for range 2 { // with keys, and with other keys
		for _, name := range []string{"server", "server_secret"} {
			_ = os.Remove(filepath.Join(dir, name))
		}
		identity, err := certs.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := identity.Write(filepath.Join(dir, "server")); err != nil {
			t.Fatal(err)
		}
		c := load(t, dir, strings.Replace(text, "%s", filepath.Join(sockets, "b"), 1)+"zap.clients = \"clients\"\nserver.curve_cert = \"server\"\n")
		keyed, err := Listen(c, last, onlyAlice, slog.New(slog.DiscardHandler), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { keyed.Close(nil) })
		last.Close(keyed)
		login := zmtp.Curve{Public: identity.Public, Secret: identity.Secret, ServerKey: identity.Public}
		_, err = zmtp.Dial(t.Context(), "ipc://"+filepath.Join(sockets, "b"), login, zmtp.Options{SocketType: zmtp.DEALER, HandshakeTimeout: time.Minute})
		if refused, ok := errors.AsType[*zmtp.RefusedError](err); !ok || refused.Status != zap.Refused {
			t.Errorf("a login with the key of a server that is not in zap.clients: %v, want a refusal by these keys", err)
		}
		last = keyed
	}
	last.Close(nil)
	if _, err := os.Stat(filepath.Join(sockets, "b")); err == nil {
		t.Error("the last one to close has left its socket")
	}
}

// nothing is a grant that allows nothing in any domain.
type nothing struct{ zap.Grant }

func (nothing) In(context.Context, string) (bool, error) { return false, nil }

func TestInDomain(t *testing.T) {
	reply := &zap.Reply{Status: zap.OK, UserID: "alice"}
	h := inDomain{zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) { return reply, nil })}
	if got, err := h.Authenticate(t.Context(), null("global")); err != nil || got != reply {
		t.Errorf("%+v, %v", got, err)
	}
	reply.Grants = []zap.Grant{nothing{}}
	if got, err := h.Authenticate(t.Context(), null("global")); err != nil || got.Status != zap.Refused {
		t.Errorf("%+v, %v, want 400", got, err)
	}
}
