//go:build interop

package interop

import (
	"fmt"
	"net"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// dialIn lets devices in at their own domain, by password and by key.
const dialIn = `
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

// freePort is a port that nobody has at present.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tcp://" + l.Addr().String()
}

// device is a peer that dials in.
type device struct {
	name      string
	script    string
	mechanism string
	endpoint  func(t *testing.T, h *home) string
	options   func(h *home) map[string]any
	stranger  func(h *home) map[string]any // who must not come in
}

func overIPC(_ *testing.T, h *home) string   { return "ipc://" + h.path("device.sock") }
func overTCP(t *testing.T, _ *home) string   { return freePort(t) }
func installer(h *home) map[string]any       { return password("installer", "known") }
func controllerByKey(h *home) map[string]any { return keys(h.controller, h.server) }
func strangeKey(h *home) map[string]any      { return keys(h.cert("stranger"), h.server) }
func resident(*home) map[string]any          { return password("alice", secrets["alice"]) }

var devices = []device{
	{"pyzmq PLAIN over tcp", "pyzmq.py", "PLAIN", overTCP, installer, resident},
	{"pyzmq CURVE over ipc", "pyzmq.py", "CURVE", overIPC, controllerByKey, strangeKey},
	{"libzmq PLAIN over ipc", "libzmq.mjs", "PLAIN", overIPC, installer, resident},
	{"libzmq CURVE over tcp", "libzmq.mjs", "CURVE", overTCP, controllerByKey, strangeKey},
}

// bound is a route at "/" where devices dial in.
func bound(socket, endpoint, mechanism string) string {
	return fmt.Sprintf("[[route]]\npath = \"/\"\nsocket = %q\nbind = [%q]\nbind_domain = \"devices\"\nconnect_timeout = \"1m\"\nmechanism = %q\n", socket, endpoint, mechanism)
}

// TestDevices: devices behind NAT dial in and are judged by the bridge's own handler. A
// resident's password or a strange key does not open that door.
func TestDevices(t *testing.T) {
	for _, d := range devices {
		t.Run(d.name, func(t *testing.T) {
			need(t, map[string]string{"pyzmq.py": "python3-zmq", "libzmq.mjs": "npm"}[d.script])
			peer := start(t, d.script)
			t.Run("publishes", func(t *testing.T) {
				h := newDeviceHome(t)
				endpoint := d.endpoint(t, h)
				url := h.bridge(dialIn + bound("SUB", endpoint, d.mechanism))
				xpub := peer.open(t, order{Type: "XPUB", Connect: endpoint, Options: d.options(h)})
				client, err := alice(t, url, zmtp.SUB)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if err := client.Subscribe([]byte("house/1/")); err != nil {
					t.Fatal(err)
				}
				xpub.expect("\x01house/1/")
				xpub.send("house/1/temperature", "21")
				if m, err := client.Recv(); err != nil || string(m[1]) != "21" {
					t.Fatalf("%q, %v", m, err)
				}
			})
			t.Run("answers", func(t *testing.T) {
				h := newDeviceHome(t)
				endpoint := d.endpoint(t, h)
				url := h.bridge(dialIn + bound("DEALER", endpoint, d.mechanism))
				rep := peer.open(t, order{Type: "REP", Connect: endpoint, Options: d.options(h)})
				client, err := alice(t, url, zmtp.REQ)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if err := client.Send(zmtp.Message{nil, []byte("state?")}); err != nil {
					t.Fatal(err)
				}
				rep.expect("state?")
				rep.send("on")
				m, err := client.Recv()
				if err != nil || len(m) != 2 || len(m[0]) != 0 || string(m[1]) != "on" {
					t.Fatalf("%q, %v", m, err)
				}
			})
			t.Run("stranger", func(t *testing.T) {
				h := newDeviceHome(t)
				endpoint := d.endpoint(t, h)
				h.bridge(dialIn + bound("SUB", endpoint, d.mechanism))
				stranger := peer.open(t, order{Type: "XPUB", Connect: endpoint, Options: d.stranger(h)})
				if e := stranger.wait("handshake:error:auth"); e.Status != 400 {
					t.Errorf("told status %d, want 400", e.Status)
				}
			})
		})
	}
}

func newDeviceHome(t *testing.T) *home {
	t.Helper()
	h := newHome(t)
	if err := htpasswd.Set(h.path("installers.htpasswd"), "installer", "known"); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestPyzmqCertificates: keys that pyzmq has made let a device in, and we read the secret
// file too once nobody else may.
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
