//go:build interop

package interop

import (
	"strings"
	"testing"
)

// TestRelayOverMux logs a page in at the bridge once, by password or token, and over relays on
// the same WebSocket at each libzmq backend, by CURVE. A wiretap between the bridge and a backend
// sees neither topics nor messages.
func TestRelayOverMux(t *testing.T) {
	need(t, "npm", "python3-zmq")
	h := newHome(t)
	h.pages()
	h.cert("backend")
	h.keysOf("alice")
	own := h.own("alice")
	known, stranger := withKey(own, h.backendCert()), withKey(h.cert("stranger"), h.backendCert())
	pyzmq := start(t, "pyzmq.py")
	platforms := []string{"node", "chromium", "chromium-worker", "firefox"}
	publishers, workers, taps := map[string]*socket{}, map[string]*socket{}, map[string]*wiretap{}
	text := relayPortal(t, h)
	for _, where := range platforms {
		publishers[where], workers[where] = pyzmq.bind(t, "XPUB", curveServer(h)), pyzmq.bind(t, "ROUTER", curveServer(h))
		taps[where] = tap(t, workers[where].endpoint)
		text += relayAt("/"+where+"/live", "SUB", publishers[where].endpoint) + relayAt("/"+where+"/work", "DEALER", taps[where].endpoint) +
			routeAt("/"+where+"/plain", "DEALER", workers[where].endpoint, `mechanism = "NULL"`)
	}
	address := h.serve(text).address
	password, token := withPassword("alice", secrets["alice"]), credentials{"mechanism": "BEARER", "tokens": []string{"token-of-alice"}}
	for _, where := range platforms {
		t.Run(where, func(t *testing.T) {
			p := platform(t, where)
			open := func(t *testing.T, socketType, path string, outer, inner credentials, subscribe ...string) *socket {
				options := inner.with("https://" + address + "/")
				options["mux"], options["outer"] = "wss://"+address+"/"+where+"/work", outer
				return p.open(t, command{Type: socketType, Connect: "/" + where + path, Subscribe: subscribe, Options: options})
			}
			for name, outer := range map[string]credentials{"password": password, "token": token} {
				t.Run("known key, "+name, func(t *testing.T) {
					dealer := open(t, "DEALER", "/work", outer, known)
					if e := dealer.wait("ready"); e.ZMTP != "3.1" {
						t.Errorf("the page is told ZMTP %q, want 3.1", e.ZMTP)
					}
					big := strings.Repeat("open the window ", 20000)
					dealer.send("command", "", big)
					m := workers[where].wait("message").Frames
					equal(t, m[1:], "command", "", big)
					workers[where].send(m[0], "done", "", big)
					dealer.expect("done", "", big)
					if w := taps[where]; !w.contains("\x07MESSAGE") || w.contains("open the window", "done", "Socket-Type", "token-of-alice", secrets["alice"]) {
						t.Error("the wiretap sees more than CURVE boxes, or none")
					}
				})
			}
			t.Run("subscription", func(t *testing.T) {
				sub := open(t, "SUB", "/live", password, known, "house/alice/")
				sub.wait("ready")
				publishers[where].expect("\x01house/alice/")
				publishers[where].send("house/alice/temperature", "21")
				sub.expect("house/alice/temperature", "21")
			})
			for _, r := range []struct {
				name, path   string
				outer, inner credentials
				code, status int
				reason       string
			}{
				{"unknown key", "/work", password, stranger, 4502, 400, "backend 1 refused the login (400)"},
				{"wrong server key", "/work", password, withKey(own, h.server), 4502, 400, "backend 1: closed before WELCOME: probably the wrong server key"},
				{"another mechanism", "/work", password, password, 4502, 0, "backend 1: want PLAIN, peer speaks CURVE"},
				{"wrong password at the bridge", "/work", withPassword("alice", "guessed"), known, 4400, 0, "login refused"},
				{"not a relay", "/plain", password, known, 4406, 0, "this route is not a relay: open it without one"},
			} {
				t.Run(r.name, func(t *testing.T) {
					open(t, "DEALER", r.path, r.outer, r.inner).expectRefused(r.code, r.status, r.reason)
				})
			}
		})
	}
}
