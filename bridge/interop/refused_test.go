//go:build interop

package interop

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
)

// refusal is a libzmq client that does not come in.
type refusal struct {
	name    string
	client  string // socket type
	options func(h *home) map[string]any
	route   string // one more line of it
	path    string // where the client goes in place of "/"
}

func wrongPassword(*home) map[string]any { return password("alice", "guessed") }
func unknownUser(*home) map[string]any   { return password("mallory", "guessed") }
func rightPassword(*home) map[string]any { return password("alice", secrets["alice"]) }
func rightKey(h *home) map[string]any    { return keys(h.controller, h.server) }
func unknownKey(h *home) map[string]any  { return keys(h.cert("mallory"), h.server) }

var refusals = []refusal{
	{"PLAIN wrong password", "DEALER", wrongPassword, anyLogin, ""},
	{"PLAIN unknown user", "REQ", unknownUser, anyLogin, ""},
	{"CURVE unknown key", "DEALER", unknownKey, anyLogin, ""},
	{"NULL where a login is wanted", "DEALER", none, `client_mechanisms = ["PLAIN", "CURVE"]`, ""},
	{"PLAIN where CURVE is wanted", "DEALER", rightPassword, `client_mechanisms = ["CURVE"]`, ""},
	{"CURVE where PLAIN is wanted", "DEALER", rightKey, `client_mechanisms = ["PLAIN"]`, ""},
	{"NULL to no route", "DEALER", none, anyLogin, "elsewhere"},
	{"PLAIN to no route", "DEALER", rightPassword, anyLogin, "elsewhere"},
	{"CURVE to no route", "DEALER", rightKey, anyLogin, "elsewhere"},
	{"NULL another socket type", "PUSH", none, anyLogin, ""},
	{"PLAIN another socket type", "PUSH", rightPassword, anyLogin, ""},
	{"CURVE another socket type", "PUSH", rightKey, anyLogin, ""},
}

func password(user, secret string) map[string]any {
	return map[string]any{"username": user, "password": secret}
}

// TestLibzmqRefused: what the bridge says must be an authentication event for libzmq, with
// the status, and no protocol fault. wait fails on any other event.
func TestLibzmqRefused(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			h := newHome(t)
			backend := libzmq.bind(t, "ROUTER", nil)
			client := libzmq.open(t, order{
				Type:    r.client,
				Connect: h.bridge(everybody+route("DEALER", backend.endpoint, r.route)) + r.path,
				Options: r.options(h),
			})
			if e := client.wait("handshake:error:auth"); e.Status != 400 {
				t.Errorf("libzmq tells status %d, want 400", e.Status)
			}
		})
	}
}

// TestLibzmqRefusedBehind: the front takes the login, and the backend's refusal reaches
// the client as its own.
func TestLibzmqRefusedBehind(t *testing.T) {
	need(t, "npm", "python3-zmq")
	libzmq, pyzmq := start(t, "libzmq.mjs"), start(t, "pyzmq.py")
	for _, l := range logins[2:] {
		t.Run(l.name, func(t *testing.T) {
			h := newHome(t)
			h.write("password", "guessed\n")
			backend := pyzmq.bind(t, "ROUTER", map[string]any{"server": "PLAIN", "passwords": map[string]string{"bridge": "known"}})
			client := libzmq.open(t, order{
				Type: "DEALER",
				Connect: h.bridge(everybody + route("DEALER", backend.endpoint, anyLogin,
					`mechanism = "PLAIN"`, `username = "bridge"`, `password_file = "password"`)),
				Options: l.options(h),
			})
			if e := client.wait("handshake:error:auth"); e.Status != 400 {
				t.Errorf("libzmq tells status %d, want 400", e.Status)
			}
		})
	}
	t.Run("own credentials", func(t *testing.T) {
		h := newHome(t)
		backend := pyzmq.bind(t, "ROUTER", map[string]any{"server": "PLAIN", "passwords": map[string]string{"alice": "another"}})
		client := libzmq.open(t, order{
			Type:    "DEALER",
			Connect: h.bridge(everybody + route("DEALER", backend.endpoint, `mechanism = "PLAIN"`, `credentials = "client"`)),
			Options: password("alice", secrets["alice"]),
		})
		if e := client.wait("handshake:error:auth"); e.Status != 400 {
			t.Errorf("libzmq tells status %d, want 400", e.Status)
		}
	})
}

// TestLibzmqTriesAgain: what is not final is told to libzmq in a way that it does not give
// up for. A backend that comes later is found without a word of the application.
func TestLibzmqTriesAgain(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, l := range logins[2:] {
		t.Run(l.name, func(t *testing.T) {
			h := newHome(t)
			endpoint := freePort(t)
			client := libzmq.open(t, order{
				Type:    "DEALER",
				Connect: h.bridge(everybody + route("DEALER", endpoint, anyLogin)),
				Options: l.options(h),
			})
			for client.next().Event != "disconnect" {
			}
			client.send("hello")
			backend := libzmq.open(t, order{Type: "ROUTER", Bind: endpoint})
			equal(t, backend.wait("message").Frames[1:], "hello")
		})
	}
}

// TestLibzmqOtherServer: a client that has another server's key gives up at once. libzmq
// calls it a protocol fault, and does not try again.
func TestLibzmqOtherServer(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	h := newHome(t)
	backend := libzmq.bind(t, "ROUTER", nil)
	other, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	client := libzmq.open(t, order{
		Type:    "DEALER",
		Connect: h.bridge(everybody + route("DEALER", backend.endpoint, anyLogin)),
		Options: keys(h.controller, other),
	})
	if e := client.wait("handshake:error:protocol"); e.Error != "ERR_ZMTP_UNEXPECTED_COMMAND" {
		t.Errorf("libzmq tells %s", e.Error)
	}
}
