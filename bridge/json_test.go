package bridge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// jsonClient is a client of ZWSJSON1.0, as in a web page without any library.
type jsonClient struct {
	t  *testing.T
	ws *websocket.Conn
}

// dialJSON connects without a login.
func dialJSON(t *testing.T, url string) *jsonClient {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"ZWSJSON1.0"}}
	ws, response, err := dialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	if got := response.Header.Get("Sec-WebSocket-Protocol"); got != "ZWSJSON1.0" {
		t.Fatalf("subprotocol %q, want ZWSJSON1.0", got)
	}
	ws.SetReadDeadline(time.Now().Add(time.Minute)) // fail instead of hanging
	return &jsonClient{t, ws}
}

// send sends an object.
func (p *jsonClient) send(object string) {
	p.t.Helper()
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(object)); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the next object. It skips notifications of lost messages, since publishers of these
// tests can be faster than the client.
func (p *jsonClient) next() map[string]any {
	p.t.Helper()
	for {
		if object := p.read(); object["op"] != "lost" {
			return object
		}
	}
}

// read returns the next object.
func (p *jsonClient) read() map[string]any {
	p.t.Helper()
	kind, text, err := p.ws.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		p.t.Fatalf("%d %q, %v; want text", kind, text, err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		p.t.Fatalf("%q: %v", text, err)
	}
	return object
}

// refusal reads an error object and the close frame after it, and returns their code.
func (p *jsonClient) refusal() int {
	p.t.Helper()
	object := p.next()
	for object["op"] == "message" {
		object = p.next()
	}
	_, _, err := p.ws.ReadMessage()
	closed, ok := err.(*websocket.CloseError)
	if code, _ := object["code"].(float64); object["op"] != "error" || !ok || closed.Code != int(code) || closed.Text != object["reason"] {
		p.t.Fatalf("%v, then %v", object, err)
	}
	return closed.Code
}

// loginObject returns the login of alice or bob.
func loginObject(user string) string {
	return fmt.Sprintf(`{"op":"login","user":%q,"password":%q}`, user, user+"'s secret")
}

// TestJSON checks that a client of ZWSJSON1.0 logs in, subscribes, gets the same messages as a
// client of ZWS2.0, and gets an error object for each refusal.
func TestJSON(t *testing.T) {
	url, b := start(t, usersOnly+routeTo("/devices", "SUB", publisher(t, message("house/alice/temp", "21 °C", "\xff\x00")),
		`allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`))
	alice := dialJSON(t, url+"/devices")
	alice.send(loginObject("alice"))
	if got := alice.next(); got["op"] != "ready" {
		t.Fatalf("got %v", got)
	}
	native := connect(t, url+"/devices", plainLogin("alice", zmtp.SUB))
	if err := native.Subscribe(t.Context(), []byte("house/alice/")); err != nil {
		t.Fatal(err)
	}
	alice.send(`{"op":"subscribe","topic":"house/alice/"}`)
	want := map[string]any{"op": "message", "frames": []any{"house/alice/temp", "21 °C", map[string]any{"b64": "/wA="}}}
	for range 3 {
		if diff := cmp.Diff(want, alice.next()); diff != "" {
			t.Fatal(diff)
		}
		if m, err := native.Recv(t.Context()); err != nil || string(m[0]) != "house/alice/temp" {
			t.Fatalf("%q, %v", m, err)
		}
	}
	if list := b.Sessions(); len(list) != 2 || list[0].Dialect != "ZWSJSON1.0" || list[0].Mechanism != "PLAIN" {
		t.Errorf("sessions %+v", list)
	}
	alice.send(`{"op":"subscribe","topic":"house/bob/"}`)
	if code := alice.refusal(); code != 4403 {
		t.Errorf("topics of bob: %d, want 4403", code)
	}
	for text, code := range map[string]int{
		`{"op":"login","user":"alice","password":"wrong"}`:   4400,
		`{"op":"login","user":"nobody","password":"secret"}`: 4400,
		`{"op":"login"}`:                     4400,
		`{"op":"login","token":"a.b.c"}`:     4400,
		`{"op":"subscribe","topic":"house"}`: 1002,
	} {
		p := dialJSON(t, url+"/devices")
		p.send(text)
		if got := p.refusal(); got != code {
			t.Errorf("%s: %d, want %d", text, got, code)
		}
	}
	if got := dialJSON(t, url+"/nothing").refusal(); got != 4404 {
		t.Errorf("no such route: %d, want 4404", got)
	}
}

// TestJSONRequests checks that requests reach the backend, and replies the client.
func TestJSONRequests(t *testing.T) {
	backend := listen(t, zmtp.ROUTER, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		for {
			m, err := c.ReadMessage()
			if err != nil || c.Write(append(m, []byte("done"))) != nil {
				return
			}
		}
	})
	url, _ := start(t, usersOnly+routeTo("/control", "DEALER", backend, `allow = [ { user = "alice", send = ["house/{user}/"] } ]`))
	alice := dialJSON(t, url+"/control")
	alice.send(loginObject("alice"))
	alice.next()
	alice.send(`{"op":"send","frames":["house/alice/lamp",{"b64":"/w=="}]}`)
	want := map[string]any{"op": "message", "frames": []any{"house/alice/lamp", map[string]any{"b64": "/w=="}, "done"}}
	if diff := cmp.Diff(want, alice.next()); diff != "" {
		t.Error(diff)
	}
	alice.send(`{"op":"send","frames":["house/bob/lamp"]}`)
	if code := alice.refusal(); code != 4403 {
		t.Errorf("sending to a topic of bob: %d, want 4403", code)
	}
	bob := dialJSON(t, url+"/control")
	bob.send(loginObject("bob"))
	if code := bob.refusal(); code != 4403 {
		t.Errorf("a user without rights on the route: %d, want 4403", code)
	}
}

// TestJSONFailureLimit checks that refused logins count for max_failures.
func TestJSONFailureLimit(t *testing.T) {
	url, _ := start(t, "[server]\nmax_failures = 1\n"+usersOnly+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	p := dialJSON(t, url+"/d")
	p.send(strings.Replace(loginObject("alice"), "secret", "guess", 1))
	if code := p.refusal(); code != 4400 {
		t.Errorf("%d, want 4400", code)
	}
	p = dialJSON(t, url+"/d")
	p.send(loginObject("alice"))
	if code := p.refusal(); code != 4429 {
		t.Errorf("%d, want 4429", code)
	}
}
