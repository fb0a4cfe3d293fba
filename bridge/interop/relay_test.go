//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// wiretap records what passes between the bridge and a backend.
type wiretap struct {
	endpoint string

	mu       sync.Mutex
	recorded bytes.Buffer
}

// tap returns a wiretap with an endpoint whose connections it records and forwards to endpoint.
func tap(t *testing.T, endpoint string) *wiretap {
	t.Helper()
	w := new(wiretap)
	w.endpoint = "tcp://" + newProxy(t, strings.TrimPrefix(endpoint, "tcp://"), w).address
	return w
}

func (w *wiretap) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.recorded.Write(p)
}

// contains reports whether any of the texts has passed, in either direction.
func (w *wiretap) contains(texts ...string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range texts {
		if bytes.Contains(w.recorded.Bytes(), []byte(text)) {
			return true
		}
	}
	return false
}

// relayAt returns the text of a relay at path.
func relayAt(path, socket, endpoint string, more ...string) string {
	return routeAt(path, socket, endpoint, append(more, "relay = true")...)
}

// relayPortal returns the text of a clientPortal whose ZAP handler knows a token of alice.
func relayPortal(t *testing.T, h *home) string {
	central := start(t, "zaphandler.py").open(t, command{Type: "ROUTER", Bind: "ipc://" + h.path("zap.sock"),
		Options: map[string]any{"tokens": map[string]string{"token-of-alice": "alice"}}})
	return strings.Replace(fmt.Sprintf(clientPortal, central.endpoint), "[zap]", "query_token = true\n[zap]", 1)
}

// TestRelayClient logs a page in at the bridge by a token in its cookie or URL, and over a relay
// at a libzmq backend by CURVE. A wiretap between the bridge and the backend sees neither topics
// nor messages.
func TestRelayClient(t *testing.T) {
	need(t, "npm", "python3-zmq")
	h := newHome(t)
	h.pages()
	h.cert("backend")
	h.keysOf("alice")
	pyzmq := start(t, "pyzmq.py")
	text := relayPortal(t, h)
	platforms := []string{"node", "chromium", "firefox", "chromium-worker"}
	publishers, workers, taps := map[string]*socket{}, map[string]*socket{}, map[string][]*wiretap{}
	for _, where := range platforms {
		publishers[where] = pyzmq.bind(t, "XPUB", curveServer(h))
		workers[where] = pyzmq.bind(t, "ROUTER", curveServer(h))
		taps[where] = []*wiretap{tap(t, publishers[where].endpoint), tap(t, workers[where].endpoint)}
		text += relayAt("/"+where+"/live", "SUB", taps[where][0].endpoint) + relayAt("/"+where+"/work", "DEALER", taps[where][1].endpoint)
	}
	address := h.serve(text).address
	own := h.own("alice")
	known, stranger := withKey(own, h.backendCert()), withKey(h.cert("stranger"), h.backendCert())
	const token = "?access_token=token-of-alice"
	for _, where := range platforms {
		t.Run(where, func(t *testing.T) {
			p := platform(t, where)
			open := func(t *testing.T, socketType, path string, c credentials, subscribe ...string) *socket {
				return p.open(t, command{Type: socketType, Connect: "wss://" + address + "/" + where + path, Subscribe: subscribe, Options: c.with("https://" + address + "/")})
			}
			status := 400
			if where == "firefox" {
				status = maybe400
			}
			t.Run("known key", func(t *testing.T) {
				sub := open(t, "SUB", "/live"+token, known, "house/alice/")
				if e := sub.wait("ready"); e.ZMTP != "3.1" {
					t.Errorf("the page is told ZMTP %q, want 3.1", e.ZMTP)
				}
				publishers[where].expect("\x01house/alice/")
				publishers[where].send("house/alice/temperature", "twenty-one degrees")
				sub.expect("house/alice/temperature", "twenty-one degrees")
				dealer := open(t, "DEALER", "/work"+token, known)
				dealer.wait("ready")
				big := strings.Repeat("open the window ", 20000)
				dealer.send("command", "", big)
				m := workers[where].wait("message").Frames
				equal(t, m[1:], "command", "", big)
				workers[where].send(m[0], "done", "", big)
				dealer.expect("done", "", big)
				for _, w := range taps[where] {
					if !w.contains("\x07MESSAGE") || w.contains("house/", "twenty-one", "open the window", "done", "SUBSCRIBE", "Socket-Type", "token-of-alice") {
						t.Error("the wiretap sees more than CURVE boxes, or none")
					}
				}
			})
			if where == "chromium" {
				t.Run("cookie", func(t *testing.T) {
					c := known.with("https://" + address + "/")
					c["cookie"] = "zws_token=token-of-alice; Path=/chromium; Secure; SameSite=Strict"
					dealer := open(t, "DEALER", "/work", c)
					dealer.wait("ready")
					dealer.send("with a cookie")
					equal(t, workers[where].wait("message").Frames[1:], "with a cookie")
					c["cookie"] = "zws_token=; Path=/chromium; Secure; Max-Age=0"
					open(t, "DEALER", "/work", c).expectRefused(4400, 400, "authentication required")
				})
			}
			t.Run("unknown key", func(t *testing.T) {
				open(t, "DEALER", "/work"+token, stranger).expectRefused(4502, status, "backend 1 refused the login (400)")
			})
			t.Run("wrong server key", func(t *testing.T) {
				open(t, "DEALER", "/work"+token, withKey(own, h.server)).
					expectRefused(4502, status, "backend 1: closed before WELCOME: probably the wrong server key")
			})
			t.Run("another mechanism", func(t *testing.T) {
				open(t, "DEALER", "/work"+token, withPassword("alice", "any")).
					expectRefused(4502, status, "backend 1: want PLAIN, peer speaks CURVE")
			})
			t.Run("wrong token at the bridge", func(t *testing.T) {
				open(t, "DEALER", "/work?access_token=guessed", known).expectRefused(4400, status, "login refused")
			})
		})
	}
}

// TestRelayPatterns lets libzmq's WebSocket client, which does not know that there is a relay,
// talk to a libzmq backend in every pattern and by every mechanism.
func TestRelayPatterns(t *testing.T) {
	need(t, "npm", "python3-zmq")
	pyzmq, libzmq := start(t, "pyzmq.py"), start(t, "libzmq.mjs")
	for _, m := range []struct {
		name            string
		backend, client func(h *home) map[string]any
	}{
		{"NULL", none, none},
		{"PLAIN", plainServer, func(*home) map[string]any { return map[string]any{"username": "bridge", "password": "known"} }},
		{"CURVE", curveServer, func(h *home) map[string]any {
			return keys(h.own("alice"), h.backendCert())
		}},
	} {
		for _, p := range patterns {
			switch {
			case p.options != nil, p.client == "XSUB":
				continue // they depend on what the bridge does on other routes
			case p.backend == "REQ" && m.name != "NULL":
				continue // a REQ of libzmq 4.3.4 that is a server closes after the first answer, over tcp too
			}
			t.Run(m.name+" "+p.client+" to "+p.backend, func(t *testing.T) {
				h := newHome(t)
				h.cert("backend")
				h.keysOf("alice")
				backend := pyzmq.bind(t, p.backend, m.backend(h), p.subscribed...)
				url := h.bridge(allMechanisms + relayAt("/", p.route, backend.endpoint, `client_mechanisms = ["NULL"]`))
				client := libzmq.open(t, command{Type: p.client, Connect: url, Options: m.client(h), Subscribe: p.subscribe})
				p.talk(client, backend)
			})
		}
	}
}

// TestRelayLibzmqRefused checks that a backend's refusal reaches libzmq through a relay as it
// would without one.
func TestRelayLibzmqRefused(t *testing.T) {
	need(t, "npm", "python3-zmq")
	pyzmq, libzmq := start(t, "pyzmq.py"), start(t, "libzmq.mjs")
	for _, b := range []struct {
		name            string
		backend, client func(h *home) map[string]any
	}{
		{"PLAIN", plainServer, func(*home) map[string]any { return password("alice", "guessed") }},
		{"CURVE", curveServer, func(h *home) map[string]any { return keys(h.cert("stranger"), h.backendCert()) }},
	} {
		t.Run(b.name, func(t *testing.T) {
			h := newHome(t)
			h.cert("backend")
			h.keysOf("alice")
			backend := pyzmq.bind(t, "ROUTER", b.backend(h))
			url := h.bridge(allMechanisms + relayAt("/", "DEALER", backend.endpoint, `client_mechanisms = ["NULL"]`))
			client := libzmq.open(t, command{Type: "DEALER", Connect: url, Options: b.client(h)})
			if e := client.wait("handshake:error:auth"); e.Status != 400 {
				t.Errorf("status %d, want 400", e.Status)
			}
		})
	}
}

// TestRelayGo logs the Go clients in at a libzmq backend by CURVE, on a WebSocket and on a channel
// of one.
func TestRelayGo(t *testing.T) {
	need(t, "python3-zmq")
	h := newHome(t)
	h.cert("backend")
	h.keysOf("alice")
	backend := start(t, "pyzmq.py").bind(t, "ROUTER", curveServer(h))
	url := h.bridge(allMechanisms + relayAt("/vault", "DEALER", backend.endpoint))
	own := h.own("alice")
	curve := zmtp.Curve{Public: own.Public, Secret: own.Secret, ServerKey: h.backendCert().Public}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	outer := &http.Request{Header: http.Header{}}
	outer.SetBasicAuth("alice", secrets["alice"])
	for name, dial := range map[string]func() (relayed, error){
		"WebSocket": func() (relayed, error) {
			return zws.Dial(ctx, url+"vault", zws.DialOptions{SocketType: zmtp.DEALER, Security: curve, Alias: true, Header: outer.Header})
		},
		"channel": func() (relayed, error) {
			m, err := zws.DialMux(ctx, url+"vault", zws.DialOptions{Security: zmtp.Plain{User: "alice", Password: secrets["alice"]}})
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { m.Close() })
			return m.Relay(ctx, zws.RelayOptions{Route: "/vault", SocketType: zmtp.DEALER, Security: curve})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if minor, ok := c.Relayed(); minor != 1 || !ok {
				t.Errorf("Relayed() = %d, %v, want 1, true", minor, ok)
			}
			if err := c.Send(t.Context(), zmtp.Message{[]byte("hello")}); err != nil {
				t.Fatal(err)
			}
			m := backend.wait("message").Frames
			equal(t, m[1:], "hello")
			backend.send(m[0], "good day")
			if got, err := c.Recv(t.Context()); err != nil || string(got[0]) != "good day" {
				t.Fatalf("%q, %v", got, err)
			}
		})
	}
}

// relayed is a Go client on a relay.
type relayed interface {
	zws.Socket
	Relayed() (minor byte, ok bool)
}
