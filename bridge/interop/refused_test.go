//go:build interop

package interop

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
)

// refusal is a login of libzmq that is refused.
type refusal struct {
	name    string
	client  string // socket type
	options func(h *home) map[string]any
	route   string // a further line of the route
	path    string // below "/"
}

func wrongPassword(*home) map[string]any { return password("alice", "guessed") }
func unknownUser(*home) map[string]any   { return password("mallory", "guessed") }
func rightPassword(*home) map[string]any { return password("alice", secrets["alice"]) }
func rightKey(h *home) map[string]any    { return keys(h.controller, h.server) }
func unknownKey(h *home) map[string]any  { return keys(h.cert("mallory"), h.server) }

var refusals = []refusal{
	{"PLAIN wrong password", "DEALER", wrongPassword, anyMechanism, ""},
	{"PLAIN unknown user", "REQ", unknownUser, anyMechanism, ""},
	{"CURVE unknown key", "DEALER", unknownKey, anyMechanism, ""},
	{"NULL where a login is required", "DEALER", none, `client_mechanisms = ["PLAIN", "CURVE"]`, ""},
	{"PLAIN where CURVE is required", "DEALER", rightPassword, `client_mechanisms = ["CURVE"]`, ""},
	{"CURVE where PLAIN is required", "DEALER", rightKey, `client_mechanisms = ["PLAIN"]`, ""},
	{"NULL, unknown route", "DEALER", none, anyMechanism, "elsewhere"},
	{"PLAIN, unknown route", "DEALER", rightPassword, anyMechanism, "elsewhere"},
	{"CURVE, unknown route", "DEALER", rightKey, anyMechanism, "elsewhere"},
	{"NULL, wrong socket type", "PUSH", none, anyMechanism, ""},
	{"PLAIN, wrong socket type", "PUSH", rightPassword, anyMechanism, ""},
	{"CURVE, wrong socket type", "PUSH", rightKey, anyMechanism, ""},
}

func password(user, secret string) map[string]any {
	return map[string]any{"username": user, "password": secret}
}

// TestLibzmqRefused checks that libzmq reports a refusal as an authentication event with the
// status, not as a protocol error. wait fails on any other event.
func TestLibzmqRefused(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			h := newHome(t)
			backend := libzmq.bind(t, "ROUTER", nil)
			client := libzmq.open(t, command{
				Type:    r.client,
				Connect: h.bridge(allMechanisms+route("DEALER", backend.endpoint, r.route)) + r.path,
				Options: r.options(h),
			})
			if e := client.wait("handshake:error:auth"); e.Status != 400 {
				t.Errorf("libzmq reports status %d, want 400", e.Status)
			}
		})
	}
}

// TestLibzmqRefusedByBackend checks that a refusal by the backend, after the bridge has accepted
// the login, reaches libzmq as a refusal of its own login.
func TestLibzmqRefusedByBackend(t *testing.T) {
	need(t, "npm", "python3-zmq")
	libzmq, pyzmq := start(t, "libzmq.mjs"), start(t, "pyzmq.py")
	for _, l := range logins[2:] {
		t.Run(l.name, func(t *testing.T) {
			h := newHome(t)
			h.write("password", "guessed\n")
			backend := pyzmq.bind(t, "ROUTER", map[string]any{"server": "PLAIN", "passwords": map[string]string{"bridge": "known"}})
			client := libzmq.open(t, command{
				Type: "DEALER",
				Connect: h.bridge(allMechanisms + route("DEALER", backend.endpoint, anyMechanism,
					`mechanism = "PLAIN"`, `username = "bridge"`, `password_file = "password"`)),
				Options: l.options(h),
			})
			if e := client.wait("handshake:error:auth"); e.Status != 400 {
				t.Errorf("libzmq reports status %d, want 400", e.Status)
			}
		})
	}
	t.Run("own credentials", func(t *testing.T) {
		h := newHome(t)
		backend := pyzmq.bind(t, "ROUTER", map[string]any{"server": "PLAIN", "passwords": map[string]string{"alice": "another"}})
		client := libzmq.open(t, command{
			Type:    "DEALER",
			Connect: h.bridge(allMechanisms + route("DEALER", backend.endpoint, `mechanism = "PLAIN"`, `credentials = "client"`)),
			Options: password("alice", secrets["alice"]),
		})
		if e := client.wait("handshake:error:auth"); e.Status != 400 {
			t.Errorf("libzmq reports status %d, want 400", e.Status)
		}
	})
}

// TestLibzmqRetries checks that libzmq retries after a temporary failure. It finds a backend that
// starts later without the help of the application.
func TestLibzmqRetries(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	for _, l := range logins[2:] {
		t.Run(l.name, func(t *testing.T) {
			h := newHome(t)
			endpoint := freePort(t)
			client := libzmq.open(t, command{
				Type:    "DEALER",
				Connect: h.bridge(allMechanisms + route("DEALER", endpoint, anyMechanism)),
				Options: l.options(h),
			})
			for client.next().Event != "disconnect" {
			}
			client.send("hello")
			backend := libzmq.open(t, command{Type: "ROUTER", Bind: endpoint})
			equal(t, backend.wait("message").Frames[1:], "hello")
		})
	}
}

// TestLibzmqWrongServerKey checks that a client with another server's key gives up at once: libzmq
// reports a protocol error and does not retry.
func TestLibzmqWrongServerKey(t *testing.T) {
	need(t, "npm")
	libzmq := start(t, "libzmq.mjs")
	h := newHome(t)
	backend := libzmq.bind(t, "ROUTER", nil)
	other, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	client := libzmq.open(t, command{
		Type:    "DEALER",
		Connect: h.bridge(allMechanisms + route("DEALER", backend.endpoint, anyMechanism)),
		Options: keys(h.controller, other),
	})
	if e := client.wait("handshake:error:protocol"); e.Error != "ERR_ZMTP_UNEXPECTED_COMMAND" {
		t.Errorf("libzmq reports %s", e.Error)
	}
}
