package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// These tests have controllers that log in at a bind endpoint: stove and lamp, and a third one,
// evil, that tries to do what only the others may.

// controllersAt starts a bridge with controllersConfig.
func controllersAt(t *testing.T, socket zmtp.SocketType, endpoint string, lines ...string) (url string, b *bridge.Bridge) {
	t.Helper()
	return startIn(t, func(dir string) string { return controllersConfig(t, dir, socket, endpoint, lines...) })
}

// controllersConfig returns a configuration with the route /c, where these controllers connect
// to endpoint with PLAIN, and alice, bob and mallory log in. It writes the files in dir.
func controllersConfig(t *testing.T, dir string, socket zmtp.SocketType, endpoint string, lines ...string) string {
	t.Helper()
	writeUsers(t, filepath.Join(dir, "people"), "alice", "bob", "mallory")
	writeUsers(t, filepath.Join(dir, "devices"), "stove", "lamp", "evil")
	return fmt.Sprintf(`
[zap]
timeout = "1m"
chain = [ { authn = "people" }, { authn = "devices", domains = ["devices"] } ]
[auth.people]
type = "htpasswd"
file = "people"
[auth.devices]
type = "htpasswd"
file = "devices"
[[route]]
path = "/c"
socket = %q
mechanism = "PLAIN"
bind = [%q]
bind_domain = "devices"
%s
`, socket, endpoint, strings.Join(lines, "\n"))
}

// writeUsers writes an htpasswd file with the passwords that plainLogin and controller use,
// unless it exists.
func writeUsers(t *testing.T, file string, names ...string) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		return
	}
	var text []byte
	for _, name := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte(name+"'s secret"), bcrypt.MinCost)
		must(t, err)
		text = fmt.Appendf(text, "%s:%s\n", name, hash)
	}
	must(t, os.WriteFile(file, text, 0o600))
}

// tryController connects a controller with its user name as routing id, or id.
func tryController(t *testing.T, endpoint, user, id string, as zmtp.SocketType) (*zmtp.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := zmtp.Dial(ctx, endpoint, zmtp.Plain{User: user, Password: user + "'s secret"}, zmtp.Options{SocketType: as, RoutingID: []byte(id)})
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// controller connects a controller that must be accepted.
func controller(t *testing.T, endpoint, user string, as zmtp.SocketType) *zmtp.Conn {
	t.Helper()
	c, err := tryController(t, endpoint, user, user, as)
	must(t, err)
	return c
}

// person connects a client to /c.
func person(t *testing.T, url, user string, as zmtp.SocketType) *zws.Client {
	t.Helper()
	return connect(t, url+"/c", plainLogin(user, as))
}

func sendTo(t *testing.T, c *zws.Client, frames ...string) {
	t.Helper()
	must(t, c.Send(t.Context(), message(frames...)))
}

// hears fails the test unless the next message of a client consists of these frames.
func hears(t *testing.T, c *zws.Client, frames ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := c.Recv(ctx)
	if err != nil || !slices.Equal(texts(m), frames) {
		t.Fatalf("got %q, %v, want %q", texts(m), err, frames)
	}
}

// gets fails the test unless the next message of a controller consists of these frames.
func gets(t *testing.T, c *zmtp.Conn, frames ...string) {
	t.Helper()
	m, err := c.ReadMessage()
	if err != nil || !slices.Equal(texts(m), frames) {
		t.Fatalf("got %q, %v, want %q", texts(m), err, frames)
	}
}

// waitForMetric waits until the metrics have a line.
func waitForMetric(t *testing.T, b *bridge.Bridge, line string) {
	t.Helper()
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		text := metrics(t, admin.URL)
		if strings.Contains(text, line+"\n") {
			return
		}
		if time.Now().After(deadline) {
			var found []string
			for l := range strings.Lines(text) {
				if name, _, _ := strings.Cut(line, "{"); strings.HasPrefix(l, name) {
					found = append(found, l)
				}
			}
			t.Fatalf("want %s, got\n%s", line, strings.Join(found, ""))
		}
	}
}

const eachOwn = `allow = [
  { user = "alice", send = ["stove"] },
  { user = "mallory", send = ["stove"] },
  { user = "bob", send = ["lamp"] },
]`

// TestControllerAnswers: a controller serves one client at a time, and its answer reaches the
// client that asked or nobody; what it says without being asked reaches those who may send
// to it.
func TestControllerAnswers(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, b := controllersAt(t, "ROUTER", endpoint, eachOwn, `connect_timeout = "5s"`) // of silence end a turn
	stove := controller(t, endpoint, "stove", zmtp.DEALER)
	alice, mallory, bob := person(t, url, "alice", zmtp.DEALER), person(t, url, "mallory", zmtp.DEALER), person(t, url, "bob", zmtp.DEALER)
	other := person(t, url, "mallory", zmtp.DEALER)

	sendTo(t, alice, "stove", "how hot?")
	gets(t, stove, "how hot?")
	sendTo(t, mallory, "stove", "anything")
	waitForMetric(t, b, `zwsbridge_waiting_messages{route="/c"} 1`)
	must(t, stove.Write(message("180")))
	hears(t, alice, "stove", "180")
	gets(t, stove, "anything")

	mallory.Close() // before the answer
	waitForMetric(t, b, `zwsbridge_sessions{dialect="ZWS2.0/PLAIN",route="/c"} 3`)
	must(t, stove.Write(message("for mallory")))
	waitForMetric(t, b, `zwsbridge_dropped_total{reason="unroutable",route="/c"} 1`)

	must(t, stove.Write(message("too hot")))
	hears(t, alice, "stove", "too hot")
	hears(t, other, "stove", "too hot")
	lamp := controller(t, endpoint, "lamp", zmtp.DEALER)
	must(t, lamp.Write(message("on")))
	hears(t, bob, "lamp", "on")

	sendTo(t, alice, "stove", "silence") // which ends the turn
	gets(t, stove, "silence")
	sendTo(t, other, "stove", "next")
	gets(t, stove, "next")
}

// TestControllerEnvelope: with envelopes a controller serves many clients at a time, and
// cannot answer whom it was not asked by.
func TestControllerEnvelope(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, b := controllersAt(t, "ROUTER", endpoint, `envelope = "frame"`)
	stove, evil := controller(t, endpoint, "stove", zmtp.DEALER), controller(t, endpoint, "evil", zmtp.DEALER)
	alice, bob := person(t, url, "alice", zmtp.DEALER), person(t, url, "bob", zmtp.DEALER)
	waitForMetric(t, b, `zwsbridge_backends{route="/c",state="ready"} 2`)
	ask := func(c *zws.Client, who *zmtp.Conn, id, text string) (envelope []byte) {
		t.Helper()
		sendTo(t, c, id, text)
		m, err := who.ReadMessage()
		if err != nil || len(m) != 2 || len(m[0]) != 9 || m[0][0] != 0 || string(m[1]) != text {
			t.Fatalf("got %q, %v", m, err)
		}
		return slices.Clone(m[0])
	}
	ofAlice, ofBob := ask(alice, stove, "stove", "a?"), ask(bob, stove, "stove", "b?")
	must(t, evil.Write(zmtp.Message{ofAlice, []byte("stolen")}))
	waitForMetric(t, b, `zwsbridge_dropped_total{reason="unroutable",route="/c"} 1`)
	must(t, stove.Write(zmtp.Message{ofBob, []byte("b!")}, zmtp.Message{ofAlice, []byte("a!")}))
	hears(t, alice, "stove", "a!")
	hears(t, bob, "stove", "b!")
}

// TestControllerNames: a routing id belongs to the user of that name.
func TestControllerNames(t *testing.T) {
	for _, tc := range []struct {
		lines, id string
		taken     bool
	}{
		{"", "stove", false},
		{"", "stove/left", false},
		{"", "evil", true},
		{"", "evil/1", true},
		{"", "evil2", false},
		{"", "", true},
		{`separator = "."`, "evil/1", false},
		{`separator = "."`, "evil.1", true},
		{`separator = ""`, "evil1", false},
		{`peer_ids = "any"`, "stove", true},
	} {
		t.Run(tc.id+" "+tc.lines, func(t *testing.T) {
			endpoint := unusedEndpoint(t)
			controllersAt(t, "ROUTER", endpoint, tc.lines)
			_, err := tryController(t, endpoint, "evil", tc.id, zmtp.DEALER)
			if refused, ok := errors.AsType[*zmtp.RefusedError](err); tc.taken != (err == nil) || err != nil && (!ok || refused.Status != zap.Refused) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestControllerComesBack: a controller takes its routing id over from its old connection.
func TestControllerComesBack(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, _ := controllersAt(t, "ROUTER", endpoint, eachOwn)
	old := controller(t, endpoint, "stove", zmtp.DEALER)
	alice := person(t, url, "alice", zmtp.DEALER)
	sendTo(t, alice, "stove", "1")
	gets(t, old, "1")
	stove := controller(t, endpoint, "stove", zmtp.DEALER)
	if m, err := old.ReadMessage(); err == nil {
		t.Errorf("the old connection gets %q", m)
	}
	must(t, stove.Write(message("here")))
	hears(t, alice, "stove", "here")
	sendTo(t, alice, "stove", "2")
	gets(t, stove, "2")
}

// TestFirstMessages: what a controller sends first reaches the client that has waited for it.
func TestFirstMessages(t *testing.T) {
	for i := range 10 {
		endpoint := unusedEndpoint(t)
		url, _ := controllersAt(t, "ROUTER", endpoint, `ready = "any"`, `connect_timeout = "1m"`)
		dialed := make(chan *zws.Client, 1)
		go func() {
			c, err := zws.Dial(context.Background(), url+"/c", plainLogin("alice", zmtp.DEALER))
			if err != nil {
				t.Error(err)
			}
			dialed <- c
		}()
		if i%2 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
		stove := controller(t, endpoint, "stove", zmtp.DEALER)
		for n := range 5 {
			must(t, stove.Write(message(fmt.Sprint(n))))
		}
		alice := <-dialed
		if alice == nil {
			return
		}
		for n := range 5 {
			hears(t, alice, "stove", fmt.Sprint(n))
		}
		alice.Close()
	}
}
