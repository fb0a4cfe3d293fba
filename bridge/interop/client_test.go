//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
)

// places are where the browser's client has to run unchanged.
var places = []string{"node", "chromium", "chromium-worker", "firefox", "firefox-worker"}

// place starts the browser's client at one of them.
func place(t *testing.T, where string) *process {
	t.Helper()
	program, _, _ := strings.Cut(where, "-")
	if program == "node" {
		need(t, "npm")
		return start(t, "zws.mjs", where)
	}
	return start(t, "zws.mjs", where, executableOf(t, program))
}

// executableOf is the executable of chromium or firefox, which the test needs.
func executableOf(t *testing.T, name string) string {
	t.Helper()
	need(t, "npm", name)
	if path := os.Getenv(strings.ToUpper(name)); path != "" {
		return path
	}
	path, err := exec.LookPath(map[string]string{"chromium": "chromium", "firefox": "firefox-esr"}[name])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// pages writes what the bridge is to serve beside its own /zws.js.
func (h *home) pages() {
	h.t.Helper()
	h.mkdir("www")
	for _, name := range []string{"index.html", "page.js", "worker.js", "driver.js"} {
		text, err := os.ReadFile(filepath.Join("peers", "zws", name))
		if err != nil {
			h.t.Fatal(err)
		}
		h.write("www/"+name, string(text))
	}
}

// clientPortal serves the client and takes every kind of login.
const clientPortal = `
[server]
listen = "127.0.0.1:0"
tls = "self-signed"
static = "www"
curve_cert = "server"
max_failures = 1000
[zap]
chain = [ { authn = "users" }, { authn = "central" }, { authn = "guests" }, { authn = "controllers" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.central]
type = "zap"
endpoint = %q
[auth.guests]
type = "anonymous"
[auth.controllers]
type = "curve"
dir = "controllers"
`

// credentials are the options of a socket of the browser's client.
type credentials map[string]any

func (l credentials) with(page string) map[string]any {
	o := map[string]any{"page": page}
	for k, v := range l {
		o[k] = v
	}
	return o
}

func withPassword(user, secret string) credentials {
	return credentials{"mechanism": "PLAIN", "username": user, "password": secret}
}

func withKey(own *certs.Certificate, server *certs.Certificate) credentials {
	return credentials{"mechanism": "CURVE", "keys": map[string]string{
		"publicKey": certs.EncodeKey(own.Public),
		"secretKey": certs.EncodeKey(own.Secret),
		"serverKey": certs.EncodeKey(server.Public),
	}}
}

// refusedFor waits until the client tells that it is refused for good, once by an event and
// once to whoever reads.
func (s *socket) refusedFor(code, status int, reason string) {
	s.t.Helper()
	if e := s.wait("refused"); e.Code != code || e.Status != status || e.Reason != reason {
		s.t.Errorf("refused with %d %q, status %d; want %d %q, status %d", e.Code, e.Reason, e.Status, code, reason, status)
	}
	if e := s.wait("ended"); e.Code != code || e.Reason != reason {
		s.t.Errorf("the reader is told %d %q, want %d %q", e.Code, e.Reason, code, reason)
	}
}

// TestClient runs the browser's client in each place, over TLS, against zwsbridge serve.
func TestClient(t *testing.T) {
	need(t, "npm", "python3-zmq")
	h := newHome(t)
	h.pages()
	pyzmq, libzmq := start(t, "pyzmq.py"), start(t, "libzmq.mjs")
	central := start(t, "zaphandler.py").open(t, order{Type: "ROUTER", Bind: "ipc://" + h.path("zap.sock"),
		Options: map[string]any{"tokens": map[string]string{"token-of-alice": "alice"}}})
	// Publishers of each place's own: the bridge keeps a subscription for a while that
	// nobody wants any more.
	publishers := make(map[string][]*socket)
	live := ""
	for _, where := range places {
		for i := range 2 {
			publisher := libzmq.bind(t, "XPUB", nil)
			publishers[where] = append(publishers[where], publisher)
			live += routeAt(fmt.Sprintf("/%s/%d", where, i), "SUB", publisher.endpoint, `allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`)
		}
		publisher := libzmq.bind(t, "XPUB", nil)
		publishers[where] = append(publishers[where], publisher)
		live += routeAt("/"+where+"/raw", "XSUB", publisher.endpoint)
	}
	worker := libzmq.bind(t, "ROUTER", nil)
	replier := libzmq.bind(t, "REP", nil)
	sink := libzmq.bind(t, "PULL", nil)
	source := libzmq.bind(t, "PUSH", nil)
	refusing := pyzmq.bind(t, "ROUTER", map[string]any{"server": "PLAIN", "passwords": map[string]string{"alice": "another"}})
	program := h.serve(fmt.Sprintf(clientPortal, central.endpoint) +
		live +
		routeAt("/work", "DEALER", worker.endpoint, anyLogin) +
		routeAt("/ask", "REQ", replier.endpoint) +
		routeAt("/put", "PUSH", sink.endpoint) +
		routeAt("/take", "PULL", source.endpoint) +
		routeAt("/remote", "DEALER", refusing.endpoint, `mechanism = "PLAIN"`, `credentials = "client"`))
	page, url := "https://"+program.address+"/", "wss://"+program.address
	alice := withPassword("alice", secrets["alice"])
	stranger := h.cert("stranger")

	for _, where := range places {
		t.Run(where, func(t *testing.T) {
			client := place(t, where)
			open := func(t *testing.T, socketType, paths string, l credentials, subscribe ...string) *socket {
				var urls []string
				for _, path := range strings.Fields(paths) {
					urls = append(urls, url+path)
				}
				return client.open(t, order{Type: socketType, Connect: strings.Join(urls, " "), Subscribe: subscribe, Options: l.with(page)})
			}
			t.Run("SUB of two URLs", func(t *testing.T) {
				sub := open(t, "SUB", "/"+where+"/0 /"+where+"/1", alice, "house/alice/")
				sub.wait("ready")
				sub.wait("ready")
				for i, publisher := range publishers[where][:2] {
					publisher.expect("\x01house/alice/")
					publisher.send("house/bob/temperature", "17")
					publisher.send("house/alice/temperature", fmt.Sprint(i), "\u00ff\u0000")
					sub.expect("house/alice/temperature", fmt.Sprint(i), "\u00ff\u0000")
				}
			})
			t.Run("XSUB", func(t *testing.T) {
				xsub := open(t, "XSUB", "/"+where+"/raw", alice)
				xsub.wait("ready")
				xsub.send("\x01weather")
				publishers[where][2].expect("\x01weather")
				publishers[where][2].send("weather", "rain")
				xsub.expect("weather", "rain")
			})
			logins := map[string]credentials{
				"NULL": nil, "PLAIN": alice, "CURVE": withKey(h.controller, h.server),
				"BEARER": {"mechanism": "BEARER", "tokens": []string{"token-of-alice"}},
			}
			big := strings.Repeat("0123456789", 30000) // browsers send it in fragments
			for name, l := range logins {
				t.Run("DEALER by "+name, func(t *testing.T) {
					dealer := open(t, "DEALER", "/work", l)
					dealer.wait("ready")
					dealer.send("square", "", big)
					m := worker.wait("message").Frames
					equal(t, m[1:], "square", "", big)
					worker.send(m[0], "done", "", big)
					dealer.expect("done", "", big)
				})
			}
			t.Run("REQ", func(t *testing.T) {
				req := open(t, "REQ", "/ask", alice)
				req.wait("ready")
				for _, question := range []string{"what?", "and then?"} {
					req.send(question, "")
					replier.expect(question, "")
					replier.send("that", question)
					req.expect("that", question)
				}
			})
			t.Run("PUSH and PULL", func(t *testing.T) {
				push := open(t, "PUSH", "/put", alice)
				push.send("before it is ready")
				push.wait("ready")
				sink.expect("before it is ready")
				pull := open(t, "PULL", "/take", alice)
				pull.wait("ready")
				source.send("a", "b")
				pull.expect("a", "b")
			})
			for _, refused := range []struct {
				name, path   string
				login        credentials
				code, status int
				reason       string
			}{
				{"wrong password", "/work", withPassword("alice", "guessed"), 4400, 400, "login refused"},
				{"wrong token", "/work", credentials{"mechanism": "BEARER", "tokens": []string{"another"}}, 4400, 400, "login refused"},
				{"unknown key", "/work", withKey(stranger, h.server), 4400, 400, "login refused"},
				{"login missing", "/remote", nil, 4400, 400, "a login is wanted here"},
				{"mechanism not taken", "/remote", credentials{"mechanism": "BEARER", "tokens": []string{"token-of-alice"}}, 4406, 400, "BEARER is not taken here"},
				{"refused behind", "/remote", alice, 4502, 400, "backend 1 refused the login (400)"},
				{"no route", "/nowhere", alice, 4404, 400, "there is no such route"},
			} {
				t.Run(refused.name, func(t *testing.T) {
					dealer := open(t, "DEALER", refused.path, refused.login)
					status := refused.status
					if refused.login == nil && strings.HasPrefix(where, "firefox") {
						status = 0 // Firefox drops messages that come together with the upgrade and a close frame
					}
					dealer.refusedFor(refused.code, status, refused.reason)
				})
			}
			t.Run("another's topic", func(t *testing.T) {
				sub := open(t, "SUB", "/"+where+"/0", alice, "house/bob/")
				sub.wait("ready")
				e := sub.wait("refused")
				if e.Code != 4403 || e.Reason == "" {
					t.Errorf("refused with %d %q, want 4403", e.Code, e.Reason)
				}
				sub.wait("ended")
			})
		})
	}
}
