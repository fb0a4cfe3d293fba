//go:build interop

package interop

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// portal is the start of a configuration with TLS and a page, for users with passwords and tokens.
const portal = `
[server]
listen = "127.0.0.1:0"
tls = "self-signed"
static = "www"
handshake_timeout = "1m"
[zap]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "central" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.central]
type = "zap"
endpoint = %q
`

// routeAt returns the text of a route at path.
func routeAt(path, socket, endpoint string, more ...string) string {
	return strings.Replace(route(socket, endpoint, more...), `path = "/"`, fmt.Sprintf("path = %q", path), 1)
}

// browser starts Chromium with plain WebSocket code.
func browser(t *testing.T) *process {
	t.Helper()
	executable := os.Getenv("CHROMIUM")
	if executable == "" {
		var err error
		if executable, err = exec.LookPath("chromium"); err != nil {
			t.Fatal(err)
		}
	}
	return start(t, "chromium.mjs", executable)
}

// expectClose waits until the page is told that the WebSocket is closed.
func (s *socket) expectClose(code int, reason string) {
	s.t.Helper()
	if e := s.wait("close"); e.Code != code || e.Reason != reason {
		s.t.Errorf("the page sees close %d %q, want %d %q", e.Code, e.Reason, code, reason)
	}
}

// expectReady waits until the page is logged in.
func (s *socket) expectReady(protocol string) {
	s.t.Helper()
	if e := s.wait("ready"); e.Protocol != protocol {
		s.t.Errorf("the server picked %q, want %q", e.Protocol, protocol)
	}
}

// TestChromium runs zwsbridge serve with a self-signed certificate and a page that it serves.
func TestChromium(t *testing.T) {
	need(t, "npm", "python3-zmq", "chromium")
	h := newHome(t)
	page, err := os.ReadFile("peers/page.html")
	if err != nil {
		t.Fatal(err)
	}
	h.mkdir("www")
	h.write("www/index.html", string(page))

	pyzmq, libzmq := start(t, "pyzmq.py"), start(t, "libzmq.mjs")
	central := start(t, "zaphandler.py").open(t, command{Type: "ROUTER", Bind: "ipc://" + h.path("zap.sock"),
		Options: map[string]any{"tokens": map[string]string{"token-of-alice": "alice"}}})
	publisher := libzmq.bind(t, "XPUB", nil)
	worker := libzmq.bind(t, "ROUTER", nil)
	plain := pyzmq.bind(t, "ROUTER", map[string]any{"server": "PLAIN", "passwords": map[string]string{"alice": "another"}})
	program := h.serve(fmt.Sprintf(portal, central.endpoint) +
		routeAt("/live", "SUB", publisher.endpoint, `allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`) +
		routeAt("/work", "DEALER", worker.endpoint) +
		routeAt("/remote", "DEALER", plain.endpoint, `mechanism = "PLAIN"`, `credentials = "client"`) +
		routeAt("/gone", "DEALER", freePort(t)))
	chromium := browser(t)

	login := func(path, socketType, protocol string, more map[string]any) command {
		options := map[string]any{"path": path, "protocol": protocol, "username": "alice", "password": secrets["alice"]}
		for k, v := range more {
			options[k] = v
		}
		return command{Type: socketType, Connect: "https://" + program.address + "/", Options: options}
	}
	t.Run("live data", func(t *testing.T) {
		ws := chromium.open(t, login("/live", "SUB", "ZWS2.0+PLAIN", map[string]any{"subscribe": []string{"house/alice/"}}))
		ws.expectReady("ZWS2.0+PLAIN")
		publisher.expect("\x01house/alice/")
		publisher.send("house/bob/temperature", "17")
		publisher.send("house/alice/temperature", "21", "\u00ff\u0000")
		ws.expect("house/alice/temperature", "21", "\u00ff\u0000")
	})
	t.Run("topic of another user", func(t *testing.T) {
		ws := chromium.open(t, login("/live", "SUB", "ZWS2.0+PLAIN", map[string]any{"subscribe": []string{"house/bob/"}}))
		ws.expectReady("ZWS2.0+PLAIN")
		if e := ws.wait("close"); e.Code != 4403 || e.Reason == "" {
			t.Errorf("the page sees close %d %q, want 4403", e.Code, e.Reason)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		ws := chromium.open(t, login("/live", "SUB", "ZWS2.0+PLAIN", map[string]any{"password": "guessed"}))
		if e := ws.wait("refused"); e.Status != 400 {
			t.Errorf("ERROR %d, want 400", e.Status)
		}
		ws.expectClose(4400, "login refused")
	})
	t.Run("refused by the backend", func(t *testing.T) {
		ws := chromium.open(t, login("/remote", "DEALER", "ZWS2.0+PLAIN", nil))
		if e := ws.wait("refused"); e.Status != 400 {
			t.Errorf("ERROR %d, want 400", e.Status)
		}
		ws.expectClose(4502, "backend 1 refused the login (400)")
	})
	t.Run("no backend", func(t *testing.T) {
		chromium.open(t, login("/gone", "DEALER", "ZWS2.0+PLAIN", nil)).expectClose(4503, "backend 1 cannot be reached")
	})
	t.Run("no route", func(t *testing.T) {
		ws := chromium.open(t, login("/nowhere", "DEALER", "ZWS2.0+PLAIN", nil))
		if e := ws.wait("refused"); e.Status != 400 {
			t.Errorf("ERROR %d, want 400", e.Status)
		}
		ws.expectClose(4404, "unknown route")
	})
	t.Run("unknown subprotocol", func(t *testing.T) {
		ws := chromium.open(t, login("/work", "DEALER", "mqtt", nil))
		ws.expectReady("mqtt") // upgraded all the same, so that the page can be told the reason
		ws.expectClose(4406, "no known subprotocol was offered, such as ZWS2.0+PLAIN")
	})
	t.Run("bare without a login", func(t *testing.T) {
		chromium.open(t, login("/work", "DEALER", "ZWS2.0", nil)).expectClose(4400, "authentication required")
	})
	big := strings.Repeat("0123456789", 30000) // Chromium sends it in fragments
	for _, protocol := range []string{"ZWS2.0+PLAIN", "ZWS2.0+BEARER", "ZWS2.0+NULL", "ZWS2.0", "WSNetMQ"} {
		t.Run("DEALER over "+protocol, func(t *testing.T) {
			// For dialects that cannot carry a login, the page has a cookie.
			more := map[string]any{"token": "token-of-alice", "cookie": "zws_token=token-of-alice; Secure; SameSite=Strict"}
			ws := chromium.open(t, login("/work", "DEALER", protocol, more))
			ws.expectReady(protocol)
			ws.send("", "square", big)
			m := worker.wait("message").Frames
			equal(t, m[1:], "", "square", big)
			worker.send(m[0], "", "done", big)
			ws.expect("", "done", big)
		})
	}
	t.Run("foreign page", func(t *testing.T) {
		// Cookies ignore ports: the browser also sends the portal's cookie for another page.
		foreign := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write(page)
		}))
		defer foreign.Close()
		for _, protocol := range []string{"ZWS2.0", "ZWS2.0+PLAIN"} {
			o := login("/work", "DEALER", protocol, map[string]any{"host": program.address})
			o.Connect = foreign.URL
			chromium.open(t, o).expectClose(1006, "")
		}
	})
	t.Run("shutdown", func(t *testing.T) {
		ws := chromium.open(t, login("/work", "DEALER", "ZWS2.0+PLAIN", nil))
		ws.expectReady("ZWS2.0+PLAIN")
		program.stop()
		ws.expectClose(1001, "the bridge is shutting down: try again later")
	})
}
