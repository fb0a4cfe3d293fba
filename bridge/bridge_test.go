package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// start runs a bridge with the given configuration text and returns its WebSocket URL.
func start(t testing.TB, text string) (url string, b *bridge.Bridge) {
	t.Helper()
	return startIn(t, func(string) string { return text })
}

// startIn is start for a configuration that needs files: config creates them in dir and returns
// the text. dir already has users.htpasswd with alice and bob, and the key pair "bridge". The
// bridge is closed, and its log checked for secrets, when the test ends.
func startIn(t testing.TB, config func(dir string) string) (url string, b *bridge.Bridge) {
	t.Helper()
	url, b, _ = startLogging(t, config)
	return url, b
}

// startLogging is startIn for tests of log lines.
func startLogging(t testing.TB, config func(dir string) string) (url string, b *bridge.Bridge, log *logBuffer) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.htpasswd"), users(), 0o600); err != nil {
		t.Fatal(err)
	}
	writeKey(t, dir, "bridge", bridgeKey)
	loaded := loadConfig(t, dir, config(dir))
	log = new(logBuffer)
	b, err := bridge.New(loaded, bridge.Options{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
		log.check(t)
	})
	return "ws" + strings.TrimPrefix(server.URL, "http"), b, log
}

// eventually waits until ok returns true, which may be called often. It fails the test after a
// minute.
func eventually(t testing.TB, want string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: want %s", want)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// users is an htpasswd file with alice and bob, with hashes that are cheap to verify.
var users = sync.OnceValue(func() (file []byte) {
	for _, user := range []string{"alice", "bob"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(user+"'s secret"), bcrypt.MinCost)
		if err != nil {
			panic(err)
		}
		file = fmt.Appendf(file, "%s:%s\n", user, hash)
	}
	return file
})

// usersOnly is a configuration whose users are those of users.htpasswd, without routes.
const usersOnly = `
[zap]
timeout = "1m"
chain = [ { authn = "users" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
`

// zapOnly returns a configuration where the ZAP handler at endpoint decides on logins.
func zapOnly(endpoint string) string {
	return fmt.Sprintf(`
[zap]
timeout = "1m"
chain = [ { authn = "handler" } ]
[auth.handler]
type = "zap"
endpoint = %q
timeout = "1m"
`, endpoint)
}

// routeTo returns a [[route]] with additional lines. Without allow in them, clients have all
// rights on it.
func routeTo(path string, socket zmtp.SocketType, endpoint string, lines ...string) string {
	return fmt.Sprintf("[[route]]\npath = %q\nsocket = %q\nconnect = [%q]\n%s\n", path, socket, endpoint, strings.Join(lines, "\n"))
}

// loadConfig loads the configuration text from a file in dir, the directory of startIn.
func loadConfig(t testing.TB, dir, text string) *config.Config {
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

// reload replaces the configuration of b.
func reload(t *testing.T, b *bridge.Bridge, dir, text string) {
	t.Helper()
	if err := b.Reload(loadConfig(t, dir, text)); err != nil {
		t.Fatal(err)
	}
}

// TestSubscribe checks that a client gets the messages that it may subscribe to, from zmq4's
// PUB, and that it is disconnected for a subscription that its rights do not allow.
func TestSubscribe(t *testing.T) {
	ctx := t.Context()
	pub := zmq4.NewPub(ctx)
	defer pub.Close()
	if err := pub.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	url, _ := start(t, usersOnly+routeTo("/devices", "SUB", "tcp://"+pub.Addr().String(), `allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`))
	alice, err := dial(ctx, url+"/devices", "alice", zmtp.SUB)
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	if err := alice.Subscribe(t.Context(), []byte("house/alice/")); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // zmq4's PUB does not report when a subscription has arrived
		defer close(done)
		for {
			for _, house := range []string{"bob", "alice"} {
				if err := pub.Send(zmq4.NewMsgFrom([]byte("house/"+house+"/temp"), []byte("21"))); err != nil {
					return
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	defer func() { close(stop); <-done }()
	for range 3 {
		m, err := alice.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if string(m[0]) != "house/alice/temp" || string(m[1]) != "21" {
			t.Fatalf("got %q", m)
		}
	}
	if err := alice.Subscribe(t.Context(), []byte("house/bob/")); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err = alice.Recv(t.Context()); err != nil {
			break
		}
	}
	if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != zws.CodeForbidden {
		t.Errorf("subscribing to topics of bob: %v, want 4403", err)
	}
}
