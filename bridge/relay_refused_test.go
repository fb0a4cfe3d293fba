package bridge_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestRelayBackendRefusals checks that every kind of client of a relay is told why the backend
// refuses it, as on other routes, and that another client of the bridge is not affected.
func TestRelayBackendRefusals(t *testing.T) {
	stranger := zmtp.Curve{Public: strangerKey.Public, Secret: strangerKey.Secret, ServerKey: nativeKey.Public}
	listening := func(m zap.Mechanism) func(t *testing.T) string {
		return func(t *testing.T) string { return echoBackend(t, zmtp.ROUTER, m) }
	}
	send := func(first, then string) func(t *testing.T) string {
		return func(t *testing.T) string {
			return plainTCP(t, func(c net.Conn) {
				defer c.Close()
				fmt.Fprint(c, first)
				fmt.Fprint(c, then)
				_, _ = c.Read(make([]byte, 1000))
				_ = c.(*net.TCPConn).CloseWrite()
				for _, err := c.Read(make([]byte, 1000)); err == nil; _, err = c.Read(make([]byte, 1000)) {
				}
			})
		}
	}
	for _, tc := range []struct {
		name     string
		endpoint func(t *testing.T) string
		inner    zmtp.ClientSecurity
		code     zws.Code
		status   zap.Status
		reason   string
	}{
		{"unknown key", listening(zap.CURVE), stranger, 4502, 400, "backend 1 refused the login (400)"},
		{"wrong password", listening(zap.PLAIN), zmtp.Plain{User: "lamp", Password: "x"}, 4502, 400, "backend 1 refused the login (400)"},
		{"failing ZAP handler", func(t *testing.T) string { return silentWith(t, zmtp.ROUTER, zap.PLAIN, always(zap.Internal)) },
			zmtp.Plain{User: "lamp"}, 4502, 500, "backend 1 refused the login (500)"},
		{"libzmq's ERROR", send(greeting("PLAIN"), "\x04\x09^RROR\x03400"), zmtp.Plain{User: "lamp"}, 4502, 400, "backend 1 refused the login (400)"},
		{"wrong server key", listening(zap.CURVE), curveLogin(strangerKey.Public), 4502, 400, "probably the wrong server key"},
		{"another mechanism", listening(zap.NULL), curveLogin(nativeKey.Public), 4502, 400, "want CURVE, peer speaks NULL"},
		{"not ZMTP", send("HTTP/1.1 400 Bad Request\r\n\r\n", ""), zmtp.Plain{}, 4502, 400, "does not speak ZMTP"},
		{"ZMTP 2", send("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x00", ""), zmtp.Plain{}, 4502, 400, "older than 3.0"},
		{"closed at once", send("", ""), zmtp.Plain{}, 4503, 0, "backend 1 cannot be reached: closed before its greeting"},
		{"closed in the greeting", send(greeting("PLAIN")[:63], ""), zmtp.Plain{}, 4503, 0, "backend 1 cannot be reached: closed before its greeting"},
		{"closed in the greeting, CURVE", send(greeting("CURVE")[:12], ""), curveLogin(nativeKey.Public), 4503, 0, "backend 1 cannot be reached: closed before its greeting"},
		{"closed after the greeting", send(greeting("PLAIN"), ""), zmtp.Plain{}, 4502, 400, "closed the connection during the login"},
		{"message instead of WELCOME", send(greeting("PLAIN"), "\x00\x02hi"), zmtp.Plain{}, 4502, 400, "did not accept the login"},
		{"command without a name", send(greeting("PLAIN"), "\x04\x01\x09"), zmtp.Plain{}, 4502, 400, "did not accept the login"},
		{"command too large", send(greeting("PLAIN"), "\x06\x00\x00\x00\x00\x00\x10\x00\x00"), zmtp.Plain{}, 4502, 400, "did not accept the login"},
		{"reserved flags", send(greeting("PLAIN"), "\x80\x01\x09"), zmtp.Plain{}, 4502, 400, "did not accept the login"},
		{"unused endpoint", unusedEndpoint, zmtp.Plain{}, 4503, 0, "backend 1 cannot be reached"},
		{"unresponsive", unresponsive, zmtp.Plain{}, 4504, 0, "backend 1 did not answer the login in time"},
		{"unresponsive after the greeting", func(t *testing.T) string {
			return plainTCP(t, func(c net.Conn) {
				fmt.Fprint(c, greeting("CURVE"))
				_, _ = c.Read(make([]byte, 1))
				t.Cleanup(func() { c.Close() })
			})
		}, curveLogin(nativeKey.Public), 4504, 0, "backend 1 did not answer the login in time"},
		{"ZAP handler hangs", func(t *testing.T) string { return silentWith(t, zmtp.ROUTER, zap.PLAIN, hang) },
			zmtp.Plain{}, 4504, 0, "backend 1 did not answer the login in time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var lines []string
			if tc.code == 4504 {
				lines = append(lines, `connect_timeout = "500ms"`)
			}
			url, _ := start(t, usersOnly+relayRoute("DEALER", tc.endpoint(t), lines...)+
				routeTo("/good", "DEALER", echoRouter(t)))
			good := connect(t, url+"/good", plainLogin("alice", zmtp.DEALER))
			for _, way := range relayDialers {
				t.Run(way.name, func(t *testing.T) {
					c, err := way.dial(t, url, tc.inner, zmtp.DEALER)
					if err == nil {
						c.Close()
						t.Fatal("the login was accepted")
					}
					got, ok := errors.AsType[*zws.CloseError](err)
					if !ok {
						t.Fatalf("the client gets %v, want a close code", err)
					}
					status := tc.status
					if way.name == "MUX" && got.Status == 0 {
						status = 0 // refused before there is a channel for an ERROR
					}
					if got.Code != tc.code || got.Status != status {
						t.Errorf("code %d and ERROR %d, want %d and %d: %v", got.Code, got.Status, tc.code, status, got)
					}
					if !strings.Contains(got.Reason, tc.reason) {
						t.Errorf("reason %q does not contain %q", got.Reason, tc.reason)
					}
				})
			}
			if err := good.Send(t.Context(), message("there?")); err != nil {
				t.Fatal(err)
			}
			if m, err := good.Recv(t.Context()); err != nil || string(m[0]) != "there?" {
				t.Errorf("another client gets %q, %v", m, err)
			}
		})
	}
}

// dialRaw connects to a relay without any ZMTP handshake.
func dialRaw(t *testing.T, url, protocol string) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{protocol}}
	c, _, err := d.DialContext(t.Context(), url+"/relay", basicAuth("alice"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// readClose reads until the close frame and returns its code, and the messages before it.
func readClose(t *testing.T, c *websocket.Conn) (code int, got []string) {
	t.Helper()
	for {
		_, p, err := c.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			return closed.Code, got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(p))
	}
}

// TestRelayClientErrors checks that a client of a relay is told what it does wrong or may not do.
func TestRelayClientErrors(t *testing.T) {
	config := usersOnly + relayRoute("DEALER", echoBackend(t, zmtp.ROUTER, zap.CURVE)) + "[server]\nmax_message = \"64KiB\"\n"
	url, _ := start(t, config)
	hurried, _ := start(t, config+"handshake_timeout = \"300ms\"\n")
	for _, protocol := range []string{"ZWS2.0", "ZWSJSON1.0", "WSNetMQ"} {
		t.Run(protocol, func(t *testing.T) {
			if code, _ := readClose(t, dialRaw(t, url, protocol)); code != 4406 {
				t.Errorf("close code %d, want 4406", code)
			}
		})
	}
	for _, tc := range []struct {
		name, frame string
		code        int
	}{
		{"nothing", "", 4408},
		{"message before READY", "\x00hi", 1002},
		{"unknown flag", "\x07hi", 1002},
		{"command too large", "\x02\x05HELLO" + strings.Repeat("x", 16<<10), 1009},
		{"frame too large", "\x02" + strings.Repeat("x", 70<<10), 1009},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := url
			if tc.code == 4408 {
				url = hurried
			}
			c := dialRaw(t, url, "ZWS2.0+CURVE")
			if tc.frame != "" {
				if err := c.WriteMessage(websocket.BinaryMessage, []byte(tc.frame)); err != nil {
					t.Fatal(err)
				}
			}
			code, got := readClose(t, c)
			if code != tc.code || len(got) != 1 || got[0] != "\x02\x08GREETING\x01" {
				t.Errorf("%d after %q, want %d", code, got, tc.code)
			}
		})
	}
	t.Run("wrong password at the bridge", func(t *testing.T) {
		got := refusal(t, url+"/relay", zws.DialOptions{SocketType: zmtp.DEALER, Security: curveLogin(nativeKey.Public), Alias: true,
			Header: http.Header{"Authorization": {"Basic YWxpY2U6Z3Vlc3NlZA=="}}})
		if got.Code != 4400 || got.Status != 400 {
			t.Errorf("%v, want 4400 and an ERROR", got)
		}
	})
	t.Run("no login at the bridge", func(t *testing.T) {
		got := refusal(t, url+"/relay", zws.DialOptions{SocketType: zmtp.DEALER, Security: curveLogin(nativeKey.Public), Alias: true})
		if got.Code != 4400 || got.Status != 400 {
			t.Errorf("%v, want 4400 and an ERROR", got)
		}
	})
	t.Run("PLAIN through an unknown proxy", func(t *testing.T) {
		header := http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}}
		got := refusal(t, url+"/relay", zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Plain{}, Header: header})
		if got.Code != 4403 {
			t.Errorf("%v, want 4403", got)
		}
	})
}

// TestRelayLimits checks that a frame can be as large as a message plus what encryption adds,
// in both directions, and not larger.
func TestRelayLimits(t *testing.T) {
	const limit = 64 << 10
	server := "[server]\nmax_message = \"64KiB\"\n"
	url, _ := start(t, usersOnly+server+relayRoute("DEALER", echoBackend(t, zmtp.ROUTER, zap.CURVE)))
	for _, way := range relayDialers {
		t.Run("CURVE "+way.name, func(t *testing.T) {
			c, err := way.dial(t, url, curveLogin(nativeKey.Public), zmtp.DEALER)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Send(t.Context(), zmtp.Message{make([]byte, limit)}); err != nil {
				t.Fatal(err)
			}
			if m, err := c.Recv(t.Context()); err != nil || m.Size() != limit {
				t.Errorf("got %d bytes back, %v, want %d", m.Size(), err, limit)
			}
		})
	}
	for size, code := range map[int]zws.Code{limit + 64: 1000, limit + 65: 4503} {
		t.Run(fmt.Sprintf("%d from the backend", size), func(t *testing.T) {
			endpoint := plainTCP(t, func(c net.Conn) {
				defer c.Close()
				fmt.Fprint(c, greeting("NULL")+"\x04\x06\x05READY")
				fmt.Fprintf(c, "\x02\x00\x00\x00\x00%s%s", []byte{0, byte(size >> 16), byte(size >> 8), byte(size)}, make([]byte, size))
				for _, err := c.Read(make([]byte, 1000)); err == nil; _, err = c.Read(make([]byte, 1000)) {
				}
			})
			url, _ := start(t, usersOnly+server+relayRoute("PULL", endpoint))
			ws := dialRaw(t, url, "ZWS2.0/NULL")
			for {
				_, p, err := ws.ReadMessage()
				if len(p) == 1+size && code == 1000 {
					return
				}
				if err != nil {
					if !websocket.IsCloseError(err, int(code)) {
						t.Errorf("%v, want %d", err, code)
					}
					return
				}
			}
		})
	}
}
