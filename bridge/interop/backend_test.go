//go:build interop

package interop

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// backendLogin is a login of the bridge at a pyzmq backend, and its outcome for the client. The
// client's own login is right.
type backendLogin struct {
	name    string
	backend func(h *home) map[string]any
	route   func(h *home) string
	// outcomes lists what can happen; nil: the login is accepted.
	outcomes []outcome
}

// outcome is how a client is refused.
type outcome struct {
	code   zws.Code
	status zap.Status
	reason string // or a part of it
}

func (o outcome) is(e *zws.CloseError) bool {
	return e.Code == o.code && e.Status == o.status && strings.Contains(e.Reason, o.reason)
}

var (
	refused400        = outcome{4502, 400, "backend 1 refused the login (400)"}
	refused500        = outcome{4502, 500, "backend 1 refused the login (500)"}
	closedDuringLogin = outcome{4503, 0, "backend 1 cannot be reached: the peer closed the connection during the login"}
	timedOut          = outcome{4504, 0, "backend 1 did not answer the login in time"}
	wrongKey          = outcome{4502, 400, "backend 1: closed before WELCOME: probably the wrong server key"}
)

// otherMechanism returns the outcome where the backend speaks m instead of the configured
// mechanism.
func otherMechanism(m string) outcome { return outcome{4502, 400, "peer speaks " + m} }

// plainServer returns the options of a ThreadAuthenticator that knows the bridge and alice.
func plainServer(*home) map[string]any {
	return map[string]any{"server": "PLAIN", "passwords": map[string]string{"bridge": "known", "alice": secrets["alice"]}}
}

// otherPassword is like plainServer, with another password for alice.
func otherPassword(*home) map[string]any {
	return map[string]any{"server": "PLAIN", "passwords": map[string]string{"alice": "another"}}
}

// curveServer returns the options of a ThreadAuthenticator that accepts the public keys in the
// directory "known".
func curveServer(h *home) map[string]any {
	return map[string]any{"server": "CURVE", "secret": certs.EncodeKey(h.backendCert().Secret), "keys": h.path("known")}
}

func (h *home) backendCert() *certs.Certificate {
	h.t.Helper()
	c, err := certs.ReadSecret(h.path("backend"))
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// handler returns a PLAIN server with a ZAP handler that behaves as does tells it.
func handler(does map[string]any) func(*home) map[string]any {
	return func(*home) map[string]any { return map[string]any{"server": "PLAIN", "zap": does} }
}

func static(*home) string {
	return "mechanism = \"PLAIN\"\nusername = \"bridge\"\npassword_file = \"password\""
}

func wrongStatic(h *home) string {
	h.write("password", "guessed\n")
	return static(h)
}

func own(*home) string { return "mechanism = \"PLAIN\"\ncredentials = \"client\"" }

// byKey returns a login by CURVE with the key pair named cert.
func byKey(cert string) func(*home) string {
	return func(h *home) string {
		return fmt.Sprintf("mechanism = \"CURVE\"\ncert = %q\nserver_key = %q", cert, certs.EncodeKey(h.backendCert().Public))
	}
}

func otherServer(h *home) string {
	return fmt.Sprintf("mechanism = \"CURVE\"\ncert = \"known/bridge.key\"\nserver_key = %q", certs.EncodeKey(h.server.Public))
}

func withoutLogin(*home) string { return "" }

// shortTimeout adds a connect_timeout that a silent backend exceeds.
func shortTimeout(route func(*home) string) func(*home) string {
	return func(h *home) string { return route(h) + "\nconnect_timeout = \"500ms\"" }
}

var backendLogins = []backendLogin{
	{"PLAIN static", plainServer, static, nil},
	{"PLAIN static, wrong password", plainServer, wrongStatic, []outcome{refused400}},
	{"PLAIN of the client", plainServer, own, nil},
	{"PLAIN of the client, wrong at the backend", otherPassword, own, []outcome{refused400}},
	{"CURVE", curveServer, byKey("known/bridge.key"), nil},
	{"CURVE of the user", curveServer, byKey("known/{user}.key"), nil},
	{"CURVE unknown key", curveServer, byKey("server"), []outcome{refused400}},
	{"CURVE wrong server key", curveServer, otherServer, []outcome{wrongKey}},
	{"ZAP 200", handler(map[string]any{"status": "200"}), static, nil},
	// On 300, libzmq closes the connection if the reply is there at once; otherwise it stays
	// silent.
	{"ZAP 300", handler(map[string]any{"status": "300"}), shortTimeout(static), []outcome{timedOut, closedDuringLogin}},
	{"ZAP 400", handler(map[string]any{"status": "400"}), static, []outcome{refused400}},
	{"ZAP 500", handler(map[string]any{"status": "500"}), static, []outcome{refused500}},
	{"ZAP hangs", handler(map[string]any{"hang": true}), shortTimeout(static), []outcome{timedOut}},
	{"ZAP malformed", handler(map[string]any{"status": "nonsense"}), static, []outcome{closedDuringLogin}},
	{"NULL against PLAIN", plainServer, withoutLogin, []outcome{otherMechanism("PLAIN")}},
	{"PLAIN against NULL", none, static, []outcome{otherMechanism("NULL")}},
	{"CURVE against PLAIN", plainServer, byKey("known/bridge.key"), []outcome{otherMechanism("PLAIN")}},
}

// TestBackendLogin logs in at pyzmq backends that have a ThreadAuthenticator or a handler that
// misbehaves.
func TestBackendLogin(t *testing.T) {
	need(t, "python3-zmq")
	pyzmq := start(t, "pyzmq.py")
	for _, b := range backendLogins {
		t.Run(b.name, func(t *testing.T) {
			h := newHome(t)
			h.write("password", "known\n")
			h.cert("backend")
			h.keysOf("bridge", "alice")
			backend := pyzmq.bind(t, "ROUTER", b.backend(h))
			client, err := alice(t, h.bridge(allMechanisms+route("DEALER", backend.endpoint, b.route(h))), zmtp.DEALER)
			if b.outcomes == nil {
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				talk(t, client, backend)
				return
			}
			refused, ok := errors.AsType[*zws.CloseError](err)
			if !ok || !slices.ContainsFunc(b.outcomes, func(o outcome) bool { return o.is(refused) }) {
				t.Fatalf("got %v, want one of %v", err, b.outcomes)
			}
		})
	}
}

// keysOf makes a directory "known" of key pairs with the suffix that pyzmq looks for.
func (h *home) keysOf(names ...string) {
	h.t.Helper()
	h.mkdir("known")
	for _, name := range names {
		h.cert("known/" + name + ".key")
	}
}

// own reads a key pair that keysOf has made.
func (h *home) own(name string) *certs.Certificate {
	h.t.Helper()
	pair, err := certs.ReadSecret(h.path("known/" + name + ".key"))
	if err != nil {
		h.t.Fatal(err)
	}
	return pair
}

// talk sends a message from the Go client to the backend, and an answer back.
func talk(t *testing.T, client *zws.Client, backend *socket) {
	t.Helper()
	if err := client.Send(t.Context(), zmtp.Message{[]byte("hello")}); err != nil {
		t.Fatal(err)
	}
	m := backend.wait("message").Frames
	equal(t, m[1:], "hello")
	backend.send(m[0], "good day")
	got, err := client.Recv(t.Context())
	if err != nil || string(got[0]) != "good day" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestBackendReconnects kills a backend and starts it again. The session continues, and its
// subscriptions are restored without the client's help.
func TestBackendReconnects(t *testing.T) {
	need(t, "python3-zmq")
	h := newHome(t)
	h.write("password", "known\n")
	first := start(t, "pyzmq.py")
	xpub := first.bind(t, "XPUB", plainServer(h))
	url := h.bridge(allMechanisms + route("SUB", xpub.endpoint, static(h)))
	client, err := alice(t, url, zmtp.SUB)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Subscribe(t.Context(), []byte("house/1/"), []byte("weather")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		equal(t, sorted(xpub.wait("message").Frames[0], xpub.wait("message").Frames[0]), "\x01house/1/", "\x01weather")
		xpub.send("house/1/temperature", "21")
		if m, err := client.Recv(t.Context()); err != nil || string(m[1]) != "21" {
			t.Fatalf("%q, %v", m, err)
		}
		xpub.process.kill()
		xpub = start(t, "pyzmq.py").open(t, command{Type: "XPUB", Bind: xpub.endpoint, Options: plainServer(h)})
	}

	// A backend that now refuses the bridge ends no session, since it can take it again. A new
	// client is told.
	xpub.process.kill()
	refusing := start(t, "pyzmq.py").open(t, command{Type: "XPUB", Bind: xpub.endpoint, Options: otherPassword(h)})
	for {
		_, err = alice(t, url, zmtp.SUB)
		cause, ok := errors.AsType[*zws.CloseError](err)
		if !ok || cause.Code != zws.CodeBackendLost {
			break
		}
	}
	if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != zws.CodeBackendRefused {
		t.Errorf("got %v, want 4502", err)
	}
	refusing.process.kill()
	xpub = start(t, "pyzmq.py").open(t, command{Type: "XPUB", Bind: xpub.endpoint, Options: plainServer(h)})
	equal(t, sorted(xpub.wait("message").Frames[0], xpub.wait("message").Frames[0]), "\x01house/1/", "\x01weather")
	xpub.send("weather", "sunny")
	if m, err := client.Recv(t.Context()); err != nil || string(m[1]) != "sunny" {
		t.Errorf("%q, %v", m, err)
	}
}
