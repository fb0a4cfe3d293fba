//go:build interop

package interop

import (
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// known returns the options of the ZAP handler in Python: the users that it knows.
func known(h *home) map[string]any {
	return map[string]any{
		"passwords": map[string]string{"alice": secrets["alice"], "later": "known"},
		"tokens":    map[string]string{"token-of-alice": "alice"},
		"known":     map[string]string{certs.EncodeKey(h.controller.Public): "controller"},
		"metadata":  map[string]string{"Send": "house/1/", "Tags": "resident"},
	}
}

// central returns the start of a configuration that asks a ZAP handler at endpoint.
func central(endpoint string, more string) string {
	return fmt.Sprintf(`
[server]
curve_cert = "server"
query_token = true
handshake_timeout = "1m"
[zap]
timeout = "1m"
chain = [ { authn = "central" } ]
[auth.central]
type = "zap"
endpoint = %q
%s
`, endpoint, more)
}

func dialAs(t *testing.T, url string, security zmtp.ClientSecurity) (*zws.Client, error) {
	return zws.Dial(t.Context(), url, zws.DialOptions{SocketType: zmtp.DEALER, Security: security, HandshakeTimeout: patience})
}

// TestZAPHandler lets the bridge ask a handler written in Python, and checks what its replies mean
// for clients of every kind.
func TestZAPHandler(t *testing.T) {
	need(t, "python3-zmq", "npm")
	python, libzmq, jszmq := start(t, "zaphandler.py"), start(t, "libzmq.mjs"), start(t, "jszmq.mjs")
	h := newHome(t)
	handler := python.open(t, command{Type: "ROUTER", Bind: "tcp://127.0.0.1:0", Options: known(h)})
	backend := libzmq.bind(t, "ROUTER", nil)
	at := h.bridge(central(handler.endpoint, `timeout = "500ms"`) + route("DEALER", backend.endpoint, anyMechanism, `domain = "houses"`))

	expectRequest := func(t *testing.T, mechanism string) {
		t.Helper()
		e := handler.next()
		if e.Event != "zap" || e.Mechanism != mechanism || e.Domain != "houses" || e.Address != "127.0.0.1" {
			t.Errorf("the handler got %+v, want mechanism %s", e, mechanism)
		}
	}
	hello := func(client *socket) {
		client.t.Helper()
		client.send("house/1/lamp", "on")
		equal(client.t, backend.wait("message").Frames[1:], "house/1/lamp", "on")
	}

	for _, l := range []struct {
		mechanism string
		security  zmtp.ClientSecurity
	}{
		{"PLAIN", zmtp.Plain{User: "alice", Password: secrets["alice"]}},
		{"BEARER", zmtp.Bearer{Token: "token-of-alice"}},
		{"CURVE", zmtp.Curve{Public: h.controller.Public, Secret: h.controller.Secret, ServerKey: h.server.Public}},
	} {
		t.Run("Go client "+l.mechanism, func(t *testing.T) {
			client, err := dialAs(t, at, l.security)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			expectRequest(t, l.mechanism)
			// The handler's metadata grants sending to house 1 only.
			if err := client.Send(t.Context(), zmtp.Message{[]byte("house/2/lamp")}); err != nil {
				t.Fatal(err)
			}
			_, err = client.Recv(t.Context())
			if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != zws.CodeForbidden {
				t.Errorf("sending to another house: %v, want 4403", err)
			}
		})
	}
	for name, want := range map[string]struct {
		code   zws.Code
		status zap.Status
	}{
		"mallory": {4400, 400}, "broken": {4500, 500}, "silent": {4300, 0}, "busy": {4300, 0},
	} {
		t.Run("Go client "+name, func(t *testing.T) {
			_, err := dialAs(t, at, zmtp.Plain{User: name, Password: "guessed"})
			if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != want.code || cause.Status != want.status {
				t.Errorf("%v, want %+v", err, want)
			}
			expectRequest(t, "PLAIN")
		})
	}
	t.Run("libzmq PLAIN", func(t *testing.T) {
		hello(libzmq.open(t, command{Type: "DEALER", Connect: at, Options: password("alice", secrets["alice"])}))
		expectRequest(t, "PLAIN")
	})
	t.Run("libzmq CURVE", func(t *testing.T) {
		hello(libzmq.open(t, command{Type: "DEALER", Connect: at, Options: keys(h.controller, h.server)}))
		expectRequest(t, "CURVE")
	})
	t.Run("libzmq 500", func(t *testing.T) {
		client := libzmq.open(t, command{Type: "DEALER", Connect: at, Options: password("broken", "guessed")})
		if e := client.wait("handshake:error:auth"); e.Status != 500 {
			t.Errorf("libzmq reports status %d, want 500", e.Status)
		}
		expectRequest(t, "PLAIN")
	})
	t.Run("libzmq 300", func(t *testing.T) {
		// libzmq retries by itself after a temporary failure.
		hello(libzmq.open(t, command{Type: "DEALER", Connect: at, Options: password("later", "known")}))
		for range 3 {
			expectRequest(t, "PLAIN")
		}
	})
	t.Run("jszmq token", func(t *testing.T) {
		hello(jszmq.open(t, command{Type: "DEALER", Connect: at + "?access_token=token-of-alice"}))
		expectRequest(t, "BEARER")
	})
	t.Run("jszmq Basic", func(t *testing.T) {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("alice", secrets["alice"])
		hello(jszmq.open(t, command{Type: "DEALER", Connect: u.String()}))
		expectRequest(t, "PLAIN")
	})
}

// TestZAPHandlerLost kills the handler: logins fail as temporary until there is a new one at the
// same endpoint. The handler is a REP socket with CURVE.
func TestZAPHandlerLost(t *testing.T) {
	need(t, "python3-zmq")
	h := newHome(t)
	h.keysOf("bridge")
	server := h.cert("handler")
	options := known(h)
	options["secret"], options["keys"] = certs.EncodeKey(server.Secret), h.path("known")
	handler := start(t, "zaphandler.py").open(t, command{Type: "REP", Bind: "tcp://127.0.0.1:0", Options: options})
	backend := start(t, "pyzmq.py").bind(t, "ROUTER", nil)
	at := h.bridge(central(handler.endpoint, fmt.Sprintf("server_key = %q\ncert = \"known/bridge.key\"\n", certs.EncodeKey(server.Public))) +
		route("DEALER", backend.endpoint))

	login := func() error {
		client, err := alice(t, at, zmtp.DEALER)
		if err == nil {
			client.Close()
		}
		return err
	}
	if err := login(); err != nil {
		t.Fatal(err)
	}
	handler.process.kill()
	if cause, ok := errors.AsType[*zws.CloseError](login()); !ok || cause.Code != zws.CodeTemporary {
		t.Fatalf("without a handler: %v, want 4300", cause)
	}
	start(t, "zaphandler.py").open(t, command{Type: "REP", Bind: handler.endpoint, Options: options})
	for {
		err := login()
		if err == nil {
			return
		}
		if cause, ok := errors.AsType[*zws.CloseError](err); !ok || cause.Code != zws.CodeTemporary {
			t.Fatalf("with a new handler: %v", err)
		}
	}
}

// TestZAPListen runs a pyzmq server without users of its own, which asks the bridge's handler
// about its clients.
func TestZAPListen(t *testing.T) {
	need(t, "python3-zmq")
	pyzmq := start(t, "pyzmq.py")
	h := newHome(t)
	endpoints := map[string]string{"tcp": freePort(t), "ipc": "ipc://" + h.path("zap.sock")}
	h.bridge(fmt.Sprintf(`
[zap]
listen = [%q, %q]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "controllers" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.controllers]
type = "curve"
dir = "controllers"
`, endpoints["tcp"], endpoints["ipc"]))
	backend := h.cert("backend")

	for transport, endpoint := range endpoints {
		forward := map[string]any{"forward": endpoint}
		plain := map[string]any{"server": "PLAIN", "domain": "global", "zap": forward}
		curve := map[string]any{"server": "CURVE", "domain": "global", "zap": forward, "secret": certs.EncodeKey(backend.Secret)}
		for _, c := range []struct {
			name   string
			server map[string]any
			client map[string]any
			ok     bool
		}{
			{"PLAIN", plain, password("alice", secrets["alice"]), true},
			{"PLAIN wrong password", plain, password("alice", "guessed"), false},
			{"PLAIN unknown user", plain, password("mallory", "guessed"), false},
			{"CURVE", curve, keys(h.controller, backend), true},
			{"CURVE unknown key", curve, keys(h.server, backend), false},
		} {
			t.Run(c.name+" over "+transport, func(t *testing.T) {
				server := pyzmq.bind(t, "ROUTER", c.server)
				client := pyzmq.open(t, command{Type: "DEALER", Connect: server.endpoint, Options: c.client})
				if !c.ok {
					// A PLAIN client of libzmq does not understand the refusal of a libzmq server,
					// so the test looks at the server.
					if e := server.wait("handshake:error:auth"); e.Status != 400 {
						t.Errorf("the server reports status %d, want 400", e.Status)
					}
					return
				}
				client.send("hello")
				m := server.wait("message").Frames
				equal(t, m[1:], "hello")
			})
		}
	}
}
