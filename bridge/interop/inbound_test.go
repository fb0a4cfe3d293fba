//go:build interop

package interop

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/internal/testport"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// inboundDomain is the start of a configuration that accepts inbound backends in a ZAP domain of
// their own, by password and by key.
const inboundDomain = `
[server]
curve_cert = "server"
handshake_timeout = "1m"
[zap]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "installers", domains = ["devices"] }, { authn = "controllers", domains = ["devices"] } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.installers]
type = "htpasswd"
file = "installers.htpasswd"
[auth.controllers]
type = "curve"
dir = "controllers"
`

// freePort returns a tcp endpoint whose port is not in use.
func freePort(t *testing.T) string {
	t.Helper()
	return "tcp://" + testport.Reserve(t)
}

// inboundBackend is a peer that connects to the bridge.
type inboundBackend struct {
	name      string
	script    string
	mechanism string
	endpoint  func(t *testing.T, h *home) string
	options   func(h *home) map[string]any
	stranger  func(h *home) map[string]any // a login that must be refused
}

func overIPC(_ *testing.T, h *home) string   { return "ipc://" + h.path("backend.sock") }
func overTCP(t *testing.T, _ *home) string   { return freePort(t) }
func installer(h *home) map[string]any       { return password("installer", "known") }
func controllerByKey(h *home) map[string]any { return keys(h.controller, h.server) }
func strangeKey(h *home) map[string]any      { return keys(h.cert("stranger"), h.server) }
func clientPassword(*home) map[string]any    { return password("alice", secrets["alice"]) }

var inboundBackends = []inboundBackend{
	{"pyzmq PLAIN over tcp", "pyzmq.py", "PLAIN", overTCP, installer, clientPassword},
	{"pyzmq CURVE over ipc", "pyzmq.py", "CURVE", overIPC, controllerByKey, strangeKey},
	{"libzmq PLAIN over ipc", "libzmq.mjs", "PLAIN", overIPC, installer, clientPassword},
	{"libzmq CURVE over tcp", "libzmq.mjs", "CURVE", overTCP, controllerByKey, strangeKey},
}

// bound returns a route at "/" that inbound backends connect to.
func bound(socket, endpoint, mechanism string) string {
	return fmt.Sprintf("[[route]]\npath = \"/\"\nsocket = %q\nbind = [%q]\nbind_domain = \"devices\"\nconnect_timeout = \"1m\"\nmechanism = %q\n", socket, endpoint, mechanism)
}

// TestInboundBackends connects backends to the bridge, whose own handler decides on their
// logins. The password of a client or an unknown key is refused.
func TestInboundBackends(t *testing.T) {
	for _, d := range inboundBackends {
		t.Run(d.name, func(t *testing.T) {
			need(t, map[string]string{"pyzmq.py": "python3-zmq", "libzmq.mjs": "npm"}[d.script])
			peer := start(t, d.script)
			t.Run("publishes", func(t *testing.T) {
				h := newInboundHome(t)
				endpoint := d.endpoint(t, h)
				url := h.bridge(inboundDomain + bound("SUB", endpoint, d.mechanism))
				xpub := peer.open(t, command{Type: "XPUB", Connect: endpoint, Options: d.options(h)})
				client, err := alice(t, url, zmtp.SUB)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if err := client.Subscribe(t.Context(), []byte("house/1/")); err != nil {
					t.Fatal(err)
				}
				xpub.expect("\x01house/1/")
				xpub.send("house/1/temperature", "21")
				if m, err := client.Recv(t.Context()); err != nil || string(m[1]) != "21" {
					t.Fatalf("%q, %v", m, err)
				}
			})
			t.Run("answers", func(t *testing.T) {
				h := newInboundHome(t)
				endpoint := d.endpoint(t, h)
				url := h.bridge(inboundDomain + bound("DEALER", endpoint, d.mechanism))
				rep := peer.open(t, command{Type: "REP", Connect: endpoint, Options: d.options(h)})
				client, err := alice(t, url, zmtp.REQ)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if err := client.Send(t.Context(), zmtp.Message{nil, []byte("state?")}); err != nil {
					t.Fatal(err)
				}
				rep.expect("state?")
				rep.send("on")
				m, err := client.Recv(t.Context())
				if err != nil || len(m) != 2 || len(m[0]) != 0 || string(m[1]) != "on" {
					t.Fatalf("%q, %v", m, err)
				}
			})
			t.Run("stranger", func(t *testing.T) {
				h := newInboundHome(t)
				endpoint := d.endpoint(t, h)
				h.bridge(inboundDomain + bound("SUB", endpoint, d.mechanism))
				stranger := peer.open(t, command{Type: "XPUB", Connect: endpoint, Options: d.stranger(h)})
				if e := stranger.wait("handshake:error:auth"); e.Status != 400 {
					t.Errorf("status %d, want 400", e.Status)
				}
			})
		})
	}
}

func newInboundHome(t *testing.T) *home {
	t.Helper()
	h := newHome(t)
	if err := htpasswd.Set(h.path("installers.htpasswd"), "installer", "known"); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestPyzmqCertificates reads key files that pyzmq has made. The secret file is accepted once
// only its owner can read it.
func TestPyzmqCertificates(t *testing.T) {
	need(t, "python3-zmq")
	h := newHome(t)
	run(t, python(), "-c", "import sys, zmq.auth; zmq.auth.create_certificates(sys.argv[1], 'lamp', {'email': 'lamp@example'})", h.dir)
	public, err := certs.ReadPublic(h.path("lamp.key"))
	if err != nil {
		t.Fatal(err)
	}
	chmod(t, h.path("lamp.key_secret"), 0o600)
	secret, err := certs.ReadSecret(h.path("lamp.key"))
	if err != nil {
		t.Fatal(err)
	}
	if secret.Public != public.Public || !secret.HasSecret || secret.Meta("email") != "lamp@example" {
		t.Errorf("read %+v", secret.Metadata)
	}
}
