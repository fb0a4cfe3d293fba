package bridge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// hostsConfig has routes that take NULL only, NULL and PLAIN, PLAIN only, and a relay that
// takes NULL.
func hostsConfig(endpoint, server string) string {
	return `
[server]
` + server + `
[zap]
timeout = "1m"
chain = [ { authn = "users" }, { authn = "guests" } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
[auth.guests]
type = "anonymous"
` + routeTo("/open", "SUB", endpoint, `client_mechanisms = ["NULL"]`) +
		routeTo("/both", "SUB", endpoint, `client_mechanisms = ["NULL", "PLAIN"]`) +
		routeTo("/users", "SUB", endpoint) +
		routeTo("/relay", "SUB", endpoint, `client_mechanisms = ["NULL"]`, `relay = true`)
}

// handshakeStatus returns the HTTP status and text that answer a WebSocket handshake.
func handshakeStatus(t *testing.T, url, protocol string, header http.Header) (int, string) {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{protocol}}
	ws, resp, err := d.DialContext(t.Context(), url, header)
	if err == nil {
		ws.Close()
	}
	if resp == nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// TestDNSRebinding checks that a page whose name was made to resolve to the bridge, and which
// therefore has the bridge's own origin, gets nothing from routes without logins, in no
// dialect, while names that are the bridge's own are served.
func TestDNSRebinding(t *testing.T) {
	endpoint := silent(t, zmtp.PUB)
	var dir string
	url, b, log := startLogging(t, func(d string) string {
		dir = d
		return hostsConfig(endpoint, `trusted_proxies = ["127.0.0.0/8"]`)
	})
	evil := http.Header{"Host": {"evil.example:8080"}, "Origin": {"http://evil.example:8080"}}
	for _, path := range []string{"/open", "/both", "/relay"} {
		for _, protocol := range []string{"ZWS2.0+NULL", "ZWS2.0", "ZWS2.0+PLAIN", "ZWSJSON1.0", "ZWSMUX1.0", "WSNetMQ"} {
			status, text := handshakeStatus(t, url+path, protocol, evil)
			if status != http.StatusMisdirectedRequest || !strings.Contains(text, "server.allowed_hosts") {
				t.Errorf("%s by %s: %d %s", path, protocol, status, text)
			}
		}
	}
	for _, tt := range []struct {
		name, path, host, forwarded string
		want                        int
	}{
		{"address and port", "/open", "", "", 101},
		{"localhost", "/open", "LOCALHOST.:1", "", 101},
		{"multicast DNS", "/open", "house.local", "", 101},
		{"other name", "/open", "house.example", "", 421},
		{"no login without credentials there", "/users", "house.example", "", 101},
		{"proxy with TLS", "/open", "house.example", "https", 101},
		{"proxy without TLS", "/open", "house.example", "http", 421},
	} {
		header := http.Header{}
		if tt.host != "" {
			header.Set("Host", tt.host)
		}
		if tt.forwarded != "" {
			header.Set("X-Forwarded-Proto", tt.forwarded)
		}
		if status, text := handshakeStatus(t, url+tt.path, "ZWSJSON1.0", header); status != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, status, text, tt.want)
		}
	}
	for path, want := range map[string]int{"/open": 421, "/users": 400, "/zws.js": 200} {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "evil.example"
		answer := httptest.NewRecorder()
		if b.ServeHTTP(answer, r); answer.Code != want {
			t.Errorf("GET %s: %d, want %d", path, answer.Code, want)
		}
	}
	log.waitFor(t, `msg="client refused"`, "route=/open", "evil.example:8080")
	reload(t, b, dir, hostsConfig(endpoint, `allowed_hosts = ["Evil.example"]`))
	if status, text := handshakeStatus(t, url+"/open", "ZWSJSON1.0", evil); status != 101 {
		t.Errorf("with the name in allowed_hosts: %d %s", status, text)
	}
}

// TestDNSRebindingMux checks that a channel opens no route that its connection could not have
// come to directly.
func TestDNSRebindingMux(t *testing.T) {
	url, _ := start(t, hostsConfig(silent(t, zmtp.PUB), ""))
	for host, want := range map[string]zws.Code{"bridge.local": 0, "evil.example": 4403} {
		o := plainLogin("alice", zmtp.SUB)
		o.Header = http.Header{"Host": {host}}
		m, err := zws.DialMux(t.Context(), url+"/users", o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		openMux(t, m, zws.ChannelOptions{Route: "/users", SocketType: zmtp.SUB})
		_, err = m.Open(t.Context(), zws.ChannelOptions{Route: "/both", SocketType: zmtp.SUB})
		if (err == nil) != (want == 0) || err != nil && zws.Cause(err).Code != want {
			t.Errorf("%s: %v, want %d", host, err, want)
		}
	}
}
