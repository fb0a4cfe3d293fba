package zws_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// relayOptions are those of a relay that lets in clients with the user name "u" by Basic, or
// without credentials.
func relayOptions() zws.Options {
	o := options()
	o.Relay, o.MaxMessage, o.MaxHandshake = true, 1000, 100
	return o
}

const authorization = "Authorization: Basic dTpw" // u:p

// serveRelay starts a relay that echoes and whose backend uses ZMTP 3.1.
func serveRelay(t testing.TB, o zws.Options) *server {
	return serveWith(t, o, plain, acceptWith(zws.AcceptOptions{Minor: 1}), echo)
}

// TestRelayFrames: every frame is a message and comes back unchanged; the login is that of the
// HTTP request, and GREETING is for clients that offer a name with "+".
func TestRelayFrames(t *testing.T) {
	s := serveRelay(t, relayOptions())
	for _, name := range []string{"ZWS2.0+NULL", "ZWS2.0/CURVE", "ZWS2.0+PLAIN", "ZWS2.0+CURVE", "ZWS2.0/BEARER"} {
		t.Run(name, func(t *testing.T) {
			p := s.dialRaw(t, "/", offering("mqtt, "+name), authorization)
			if strings.Contains(name, "+") {
				p.expect("\x02\x08GREETING\x01")
			}
			for _, f := range []string{
				"\x02\x05HELLO", "\x01more", "\x00", "\x00last", "\x00\x07MESSAGE" + strings.Repeat("x", 1000+64-9),
			} {
				p.send(f)
				p.expect(f)
			}
			l := (<-s.accepted).conn.Login()
			if inner := zap.Mechanism(name[7:]); l.User() != "u" || l.Mechanism != zap.PLAIN || l.Relayed != inner || l.Greets != strings.Contains(name, "+") {
				t.Errorf("the login is %+v", l)
			}
		})
	}
}

// TestRelayFaults: what a relay refuses, and how. An ERROR follows the first command of a
// client whose mechanism speaks first.
func TestRelayFaults(t *testing.T) {
	s := serveRelay(t, relayOptions())
	const hello, refused = "\x02\x05HELLO", "\x02\x05ERROR\x03400"
	for _, test := range []struct {
		name   string
		header []string
		send   string
		want   []string
		code   zws.Code
		reason string
	}{
		{"bare", []string{offering("ZWS2.0")}, "", nil, 4406, "this route is a relay: offer the mechanism of its backend, such as ZWS2.0+CURVE"},
		{"JSON", []string{offering("ZWSJSON1.0")}, "", nil, 4406, ""},
		{"nothing known", []string{offering("mqtt")}, "", nil, 4406, "no known subprotocol was offered, such as ZWS2.0+PLAIN"},
		{"refused here", []string{offering("ZWS2.0+CURVE"), "Authorization: Basic NDAwOnA="}, hello, []string{refused}, 4400, "login refused"},
		{"cannot be decided here", []string{offering("ZWS2.0+CURVE"), "Authorization: Basic MzAwOnA="}, "", nil, 4300, "the login cannot be checked at present: try again later"},
		{"flag", []string{offering("ZWS2.0/CURVE")}, "\x03x", nil, 1002, "unknown flag byte 03"},
		{"empty", []string{offering("ZWS2.0/CURVE")}, "\x00", []string{"\x00"}, 1000, ""},
		{"too large", []string{offering("ZWS2.0/CURVE")}, "\x00" + strings.Repeat("x", 1000+64), nil, 1009, "larger than this server accepts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := s.dialRaw(t, "/", test.header...)
			if test.send != "" {
				p.send(test.send)
			}
			for _, want := range test.want {
				p.expect(want)
			}
			if test.code == 1000 {
				return
			}
			if test.reason == "" {
				if first, _, err := p.receive(); err != nil || first != 0x81 { // an error object
					t.Fatalf("%02x, %v", first, err)
				}
				test.reason = "this route is a relay: offer the mechanism of its backend, such as ZWS2.0+CURVE"
			}
			p.expectClose(test.code, test.reason)
		})
	}
	t.Run("PLAIN that others can read", func(t *testing.T) {
		o := relayOptions()
		o.PlaintextAllowed = false
		p := serveRelay(t, o).dialRaw(t, "/", offering("ZWS2.0+PLAIN"))
		p.send(hello)
		p.expect(refused)
		p.expectClose(4403, "PLAIN is not accepted without TLS")
	})
	t.Run("rejected", func(t *testing.T) {
		d := rejectWith(&zws.CloseError{Code: 4503, Reason: "backend 1 cannot be reached"})
		serveWith(t, relayOptions(), plain, d, echo).dialRaw(t, "/", offering("ZWS2.0+CURVE")).expectClose(4503, "backend 1 cannot be reached")
	})
}

// TestDialGreeting: a client accepts one valid GREETING, before anything else.
func TestDialGreeting(t *testing.T) {
	const greeting, welcome, ready = "\x02\x08GREETING\x01", "\x02\x07WELCOME", "\x02\x05READY"
	for _, test := range []struct {
		name    string
		answers []string // all at once, when the client has said something
		fault   bool
	}{
		{"without", []string{welcome, ready}, false},
		{"first", []string{greeting, welcome, ready}, false},
		{"twice", []string{greeting, greeting, welcome, ready}, true},
		{"late", []string{welcome, greeting, ready}, true},
		{"without a version", []string{"\x02\x08GREETING", welcome, ready}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serveWebSocket(t, "ZWS2.0+PLAIN", func(ws *websocket.Conn) {
				for _, answer := range test.answers {
					if ws.WriteMessage(websocket.BinaryMessage, []byte(answer)) != nil {
						return
					}
				}
				for _, _, err := ws.ReadMessage(); err == nil; _, _, err = ws.ReadMessage() {
				}
			})
			c, err := zws.Dial(t.Context(), s, zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{}, Alias: true})
			if err != nil {
				if !test.fault || !errors.Is(err, zmtp.ErrProtocol) {
					t.Errorf("got %v", err)
				}
				return
			}
			defer c.Close()
			if minor, ok := c.Relayed(); test.fault || ok != (test.name == "first") || ok && minor != 1 {
				t.Errorf("a peer with 3.%d, %v", minor, ok)
			}
		})
	}
}

// serveWebSocket starts a server that calls run for each WebSocket.
func serveWebSocket(t *testing.T, subprotocol string, run func(*websocket.Conn)) string {
	t.Helper()
	s := &server{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := websocket.Upgrader{Subprotocols: []string{subprotocol}}
		ws, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		s.conns.Go(func() {
			defer ws.Close()
			run(ws)
		})
	})
	s.Server = httptest.NewServer(handler)
	t.Cleanup(func() { s.Close(); s.conns.Wait() })
	return s.url()
}
