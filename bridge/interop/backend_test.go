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

// behind is how a pyzmq backend receives the bridge, and what our client hears of it. The
// client's own login is right.
type behind struct {
	name    string
	backend func(h *home) map[string]any
	route   func(h *home) string
	// outcomes are what may happen; none means that it is let in.
	outcomes []outcome
}

// outcome is what a client that does not come in is told.
type outcome struct {
	code   zws.Code
	status zap.Status
	reason string // a part of it
}

func (o outcome) is(e *zws.CloseError) bool {
	return e.Code == o.code && e.Status == o.status && strings.Contains(e.Reason, o.reason)
}

var (
	refused400 = outcome{4502, 400, "backend 1 refused the login (400)"}
	refused500 = outcome{4502, 500, "backend 1 refused the login (500)"}
	closed     = outcome{4502, 400, "backend 1: the peer closed the connection during the login"}
	tooLate    = outcome{4504, 0, "backend 1 did not answer the login in time"}
	wrongKey   = outcome{4502, 400, "backend 1: closed before WELCOME: probably the wrong server key"}
)

// speaks is the outcome where another mechanism was wanted.
func speaks(m string) outcome { return outcome{4502, 400, "peer speaks " + m} }

// plainServer is a ThreadAuthenticator that knows the bridge and alice.
func plainServer(*home) map[string]any {
	return map[string]any{"server": "PLAIN", "passwords": map[string]string{"bridge": "known", "alice": secrets["alice"]}}
}

// alien is one for which alice has another password.
func alien(*home) map[string]any {
	return map[string]any{"server": "PLAIN", "passwords": map[string]string{"alice": "another"}}
}

// curveServer is a ThreadAuthenticator that reads the folder "known", where our own keygen
// has put the bridge's public key.
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

// handler is another ZAP handler in front of a PLAIN server.
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

// byKey is a login by CURVE with the key pair called cert.
func byKey(cert string) func(*home) string {
	return func(h *home) string {
		return fmt.Sprintf("mechanism = \"CURVE\"\ncert = %q\nserver_key = %q", cert, certs.EncodeKey(h.backendCert().Public))
	}
}

func otherServer(h *home) string {
	return fmt.Sprintf("mechanism = \"CURVE\"\ncert = \"known/bridge.key\"\nserver_key = %q", certs.EncodeKey(h.server.Public))
}

func withoutLogin(*home) string { return "" }

// short is a connect_timeout that a mute backend will exceed.
func short(route func(*home) string) func(*home) string {
	return func(h *home) string { return route(h) + "\nconnect_timeout = \"500ms\"" }
}

var behinds = []behind{
	{"PLAIN static", plainServer, static, nil},
	{"PLAIN static, wrong password", plainServer, wrongStatic, []outcome{refused400}},
	{"PLAIN of the client", plainServer, own, nil},
	{"PLAIN of the client, wrong behind", alien, own, []outcome{refused400}},
	{"CURVE", curveServer, byKey("known/bridge.key"), nil},
	{"CURVE of the user", curveServer, byKey("known/{user}.key"), nil},
	{"CURVE unknown key", curveServer, byKey("server"), []outcome{refused400}},
	{"CURVE wrong server key", curveServer, otherServer, []outcome{wrongKey}},
	{"ZAP 200", handler(map[string]any{"status": "200"}), static, nil},
	// libzmq closes the connection at 300 if the answer is there when it has just asked,
	// and else is silent.
	{"ZAP 300", handler(map[string]any{"status": "300"}), short(static), []outcome{tooLate, closed}},
	{"ZAP 400", handler(map[string]any{"status": "400"}), static, []outcome{refused400}},
	{"ZAP 500", handler(map[string]any{"status": "500"}), static, []outcome{refused500}},
	{"ZAP hangs", handler(map[string]any{"hang": true}), short(static), []outcome{tooLate}},
	{"ZAP malformed", handler(map[string]any{"status": "nonsense"}), static, []outcome{closed}},
	{"NULL wanted, PLAIN met", plainServer, withoutLogin, []outcome{speaks("PLAIN")}},
	{"PLAIN wanted, NULL met", none, static, []outcome{speaks("NULL")}},
	{"CURVE wanted, PLAIN met", plainServer, byKey("known/bridge.key"), []outcome{speaks("PLAIN")}},
}

// TestBackendLogin logs in at pyzmq backends with their ThreadAuthenticator, or with a
// handler that misbehaves.
func TestBackendLogin(t *testing.T) {
	need(t, "python3-zmq")
	pyzmq := start(t, "pyzmq.py")
	for _, b := range behinds {
		t.Run(b.name, func(t *testing.T) {
			h := newHome(t)
			h.write("password", "known\n")
			h.cert("backend")
			h.keysOf("bridge", "alice")
			backend := pyzmq.bind(t, "ROUTER", b.backend(h))
			client, err := alice(t, h.bridge(everybody+route("DEALER", backend.endpoint, b.route(h))), zmtp.DEALER)
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

// keysOf makes a folder "known" of certificates with the suffix that pyzmq looks for.
func (h *home) keysOf(names ...string) {
	h.t.Helper()
	h.mkdir("known")
	for _, name := range names {
		h.cert("known/" + name + ".key")
	}
}

// own is the key pair of somebody of keysOf.
func (h *home) own(name string) *certs.Certificate {
	h.t.Helper()
	pair, err := certs.ReadSecret(h.path("known/" + name + ".key"))
	if err != nil {
		h.t.Fatal(err)
	}
	return pair
}

// talk: a question of our own client, and the backend's answer.
func talk(t *testing.T, client *zws.Client, backend *socket) {
	t.Helper()
	if err := client.Send(zmtp.Message{[]byte("hello")}); err != nil {
		t.Fatal(err)
	}
	m := backend.wait("message").Frames
	equal(t, m[1:], "hello")
	backend.send(m[0], "good day")
	got, err := client.Recv()
	if err != nil || string(got[0]) != "good day" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestBackendComesBack: a backend is killed and started anew. The session lives on, and
// its subscriptions are there again without a word of the client.
func TestBackendComesBack(t *testing.T) {
	need(t, "python3-zmq")
	h := newHome(t)
	h.write("password", "known\n")
	first := start(t, "pyzmq.py")
	xpub := first.bind(t, "XPUB", plainServer(h))
	url := h.bridge(everybody + route("SUB", xpub.endpoint, static(h)))
	client, err := alice(t, url, zmtp.SUB)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Subscribe([]byte("house/1/"), []byte("weather")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		equal(t, sorted(xpub.wait("message").Frames[0], xpub.wait("message").Frames[0]), "\x01house/1/", "\x01weather")
		xpub.send("house/1/temperature", "21")
		if m, err := client.Recv(); err != nil || string(m[1]) != "21" {
			t.Fatalf("%q, %v", m, err)
		}
		xpub.process.kill()
		xpub = start(t, "pyzmq.py").open(t, order{Type: "XPUB", Bind: xpub.endpoint, Options: plainServer(h)})
	}

	// One that now refuses us is told to the client, who would wait for ever otherwise.
	xpub.process.kill()
	start(t, "pyzmq.py").open(t, order{Type: "XPUB", Bind: xpub.endpoint, Options: alien(h)})
	for {
		if _, err = client.Recv(); err != nil {
			break
		}
	}
	if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != zws.CodeBackendRefused {
		t.Errorf("got %v, want 4502", err)
	}
}
