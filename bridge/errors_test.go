package bridge_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// closesAfterGreeting starts a backend that greets and closes when the first command comes.
func closesAfterGreeting(mechanism string) func(t *testing.T) string {
	return func(t *testing.T) string {
		return plainTCP(t, func(c net.Conn) {
			fmt.Fprint(c, greeting(mechanism))
			_, _ = io.ReadFull(c, make([]byte, 65)) // the greeting, and a command begins
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		})
	}
}

// TestBackendRefusals checks what the bridge exists for: if a client's login is accepted and the
// backend refuses, the answer to the handshake of the client says so, for every way in which a
// backend can refuse.
func TestBackendRefusals(t *testing.T) {
	const (
		clientLogin = "mechanism = \"PLAIN\"\ncredentials = \"client\"\n"
		null        = "mechanism = \"NULL\"\n"
	)
	curve := func(serverKey [32]byte) string {
		return fmt.Sprintf("mechanism = \"CURVE\"\nserver_key = %q\ncert = \"bridge\"\n", certs.EncodeKey(serverKey))
	}
	for _, tc := range []struct {
		name     string
		endpoint func(t *testing.T) string
		route    string
		code     zws.Code
		status   zap.Status
		reason   string
	}{
		{"PLAIN 400", func(t *testing.T) string { return silentWith(t, zmtp.PUB, zap.PLAIN, always(zap.Refused)) },
			clientLogin, 4502, 400, "backend 1 refused the login (400)"},
		{"PLAIN 500", func(t *testing.T) string { return silentWith(t, zmtp.PUB, zap.PLAIN, always(zap.Internal)) },
			clientLogin, 4502, 500, "backend 1 refused the login (500)"},
		{"PLAIN 300", func(t *testing.T) string { return silentWith(t, zmtp.PUB, zap.PLAIN, always(zap.Temporary)) },
			clientLogin, 4504, 0, "backend 1"},
		{"ZAP handler hangs", func(t *testing.T) string { return silentWith(t, zmtp.PUB, zap.PLAIN, hang) },
			clientLogin, 4504, 0, "backend 1"},
		{"unknown CURVE key", func(t *testing.T) string { return silentWith(t, zmtp.PUB, zap.CURVE, always(zap.Refused)) },
			curve(nativeKey.Public), 4502, 400, "backend 1 refused the login (400)"},
		{"wrong server key", func(t *testing.T) string { return silentWith(t, zmtp.PUB, zap.CURVE, always(zap.OK)) },
			curve(strangerKey.Public), 4502, 400, "probably the wrong server key"},
		{"another mechanism", func(t *testing.T) string { return silent(t, zmtp.PUB) },
			curve(nativeKey.Public), 4502, 400, "want CURVE, peer speaks NULL"},
		{"another socket type", func(t *testing.T) string { return silent(t, zmtp.ROUTER) },
			null, 4502, 400, "backend 1"},
		{"not ZMTP", func(t *testing.T) string {
			return plainTCP(t, func(c net.Conn) {
				fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\nServer: something that is long enough\r\n\r\n")
				c.Close()
			})
		}, null, 4502, 400, "backend 1"},
		{"closed at once", func(t *testing.T) string { return plainTCP(t, func(c net.Conn) { c.Close() }) },
			null, 4503, 0, "backend 1 cannot be reached: closed before its greeting"},
		{"closed in the greeting", func(t *testing.T) string {
			return plainTCP(t, func(c net.Conn) { fmt.Fprint(c, greeting("CURVE")[:63]); c.Close() })
		}, curve(nativeKey.Public), 4503, 0, "backend 1 cannot be reached: closed before its greeting"},
		{"closed after the greeting, PLAIN", closesAfterGreeting("PLAIN"), clientLogin, 4503, 0, "backend 1 cannot be reached: the peer closed the connection during the login"},
		{"closed after the greeting, NULL", closesAfterGreeting("NULL"), null, 4503, 0, "backend 1 cannot be reached: the peer closed the connection during the login"},
		{"closed after HELLO, CURVE", closesAfterGreeting("CURVE"), curve(nativeKey.Public), 4502, 400, "backend 1: closed before WELCOME"},
		{"unused endpoint", unusedEndpoint, null, 4503, 0, "backend 1 cannot be reached"},
		{"unresponsive", unresponsive, null, 4504, 0, "backend 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timeout := `connect_timeout = "1m"`
			if tc.code == 4504 {
				timeout = `connect_timeout = "500ms"`
			}
			url, _ := start(t, usersOnly+routeTo("/d", "SUB", tc.endpoint(t), timeout, tc.route))
			got := refusal(t, url+"/d", plainLogin("alice", zmtp.SUB))
			if got.Code != tc.code || got.Status != tc.status {
				t.Errorf("code %d and ERROR %d, want %d and %d: %v", got.Code, got.Status, tc.code, tc.status, got)
			}
			if !strings.Contains(got.Reason, tc.reason) {
				t.Errorf("reason %q does not contain %q", got.Reason, tc.reason)
			}
			if strings.Contains(got.Reason, "127.0.0.1") {
				t.Errorf("reason %q contains the address of the backend", got.Reason)
			}
		})
	}
}

// TestClientRefusals checks what is refused before the bridge connects to a backend.
func TestClientRefusals(t *testing.T) {
	route := routeTo("/d", "SUB", unusedEndpoint(t), `client_mechanisms = ["PLAIN", "BEARER"]`)
	url, _ := start(t, usersOnly+route)
	with := func(change func(*zws.DialOptions)) zws.DialOptions {
		o := plainLogin("alice", zmtp.SUB)
		change(&o)
		return o
	}
	for _, tc := range []struct {
		name   string
		path   string
		o      zws.DialOptions
		code   zws.Code
		status zap.Status
	}{
		{"wrong password", "/d", with(func(o *zws.DialOptions) { o.Security = zmtp.Plain{User: "alice", Password: "x"} }), 4400, 400},
		{"unknown user", "/d", with(func(o *zws.DialOptions) { o.Security = zmtp.Plain{User: "mallory", Password: "x"} }), 4400, 400},
		{"unknown token", "/d", with(func(o *zws.DialOptions) { o.Security = zmtp.Bearer{Token: "x"} }), 4400, 400},
		{"NULL where a login is required", "/d", with(func(o *zws.DialOptions) { o.Security = zmtp.Null{} }), 4400, 400},
		{"no mechanism where a login is required", "/d", with(func(o *zws.DialOptions) { o.Security = nil }), 4400, 0},
		{"CURVE where it is not accepted", "/d", with(func(o *zws.DialOptions) {
			o.Security = zmtp.Curve{Public: bridgeKey.Public, Secret: bridgeKey.Secret, ServerKey: nativeKey.Public}
		}), 4406, 400},
		{"another socket type", "/d", with(func(o *zws.DialOptions) { o.SocketType = zmtp.DEALER }), 4406, 400},
		{"no such route", "/nowhere", plainLogin("alice", zmtp.SUB), 4404, 400},
		{"plaintext through an unknown proxy", "/d", with(func(o *zws.DialOptions) {
			o.Header = http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}}
		}), 4403, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := refusal(t, url+tc.path, tc.o)
			if got.Code != tc.code || got.Status != tc.status {
				t.Errorf("code %d and ERROR %d, want %d and %d: %v", got.Code, got.Status, tc.code, tc.status, got)
			}
		})
	}
	t.Run("plaintext through a proxy on loopback", func(t *testing.T) {
		url, _ := start(t, usersOnly+"[server]\nproxy_protocol = true\ntrusted_proxies = [\"192.0.2.1\"]\n"+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
		if got := refusal(t, url+"/d", plainLogin("alice", zmtp.SUB)); got.Code != 4403 {
			t.Errorf("%v, want 4403", got)
		}
	})
	t.Run("unresponsive client", func(t *testing.T) {
		url, _ := start(t, usersOnly+"[server]\nhandshake_timeout = \"300ms\"\n"+route)
		d := websocket.Dialer{Subprotocols: []string{"ZWS2.0+PLAIN"}}
		c, _, err := d.DialContext(t.Context(), url+"/d", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _, err = c.ReadMessage()
		if !websocket.IsCloseError(err, 4408) {
			t.Errorf("got %v, want close code 4408", err)
		}
	})
	t.Run("unknown subprotocol", func(t *testing.T) {
		d := websocket.Dialer{Subprotocols: []string{"mqtt"}}
		c, _, err := d.DialContext(t.Context(), url+"/d", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.Subprotocol() != "mqtt" {
			t.Errorf("subprotocol %q, want the first that the client offers", c.Subprotocol())
		}
		_, _, err = c.ReadMessage()
		if !websocket.IsCloseError(err, 4406) {
			t.Errorf("got %v, want close code 4406", err)
		}
	})
}

// writeKey writes a key pair to dir, as the zcert name.
func writeKey(t testing.TB, dir, name string, c *certs.Certificate) {
	t.Helper()
	if err := c.Write(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, name+certs.SecretSuffix)); err != nil {
		t.Fatal(err)
	}
}
