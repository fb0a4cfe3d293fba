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

// page is a client as a page without any library is one: WebSocket and JSON.
type page struct {
	t  *testing.T
	ws *websocket.Conn
}

func openPage(t *testing.T, url string) *page {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"ZWSJSON1.0"}}
	ws, answer, err := dialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	if got := answer.Header.Get("Sec-WebSocket-Protocol"); got != "ZWSJSON1.0" {
		t.Fatalf("answered %q", got)
	}
	ws.SetReadDeadline(time.Now().Add(time.Minute)) // a hang is a failure
	return &page{t, ws}
}

func (p *page) say(object string) {
	p.t.Helper()
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(object)); err != nil {
		p.t.Fatal(err)
	}
}

// hear reads the next object. What a publisher without end makes the queue drop is told in
// between, and no matter here.
func (p *page) hear() map[string]any {
	p.t.Helper()
	for {
		if object := p.read(); object["op"] != "lost" {
			return object
		}
	}
}

func (p *page) read() map[string]any {
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

// refused reads an error object and the close frame after it.
func (p *page) refused() int {
	p.t.Helper()
	object := p.hear()
	for object["op"] == "message" {
		object = p.hear()
	}
	_, _, err := p.ws.ReadMessage()
	closed, ok := err.(*websocket.CloseError)
	if code, _ := object["code"].(float64); object["op"] != "error" || !ok || closed.Code != int(code) || closed.Text != object["reason"] {
		p.t.Fatalf("%v, then %v", object, err)
	}
	return closed.Code
}

func login(user string) string {
	return fmt.Sprintf(`{"op":"login","user":%q,"password":%q}`, user, user+"'s secret")
}

// TestJSON: a page logs in, subscribes, gets its messages with their topic, and is told
// what it may not have. Beside it a ZWS2.0 client gets the same messages.
func TestJSON(t *testing.T) {
	url, b := start(t, usersOnly+routeTo("/devices", "SUB", publisher(t, message("house/alice/temp", "21 °C", "\xff\x00")),
		`allow = [ { user = "*", subscribe = ["house/{user}/"] } ]`))
	alice := openPage(t, url+"/devices")
	alice.say(login("alice"))
	if got := alice.hear(); got["op"] != "ready" {
		t.Fatalf("got %v", got)
	}
	native := connect(t, url+"/devices", byPassword("alice", zmtp.SUB))
	if err := native.Subscribe([]byte("house/alice/")); err != nil {
		t.Fatal(err)
	}
	alice.say(`{"op":"subscribe","topic":"house/alice/"}`)
	want := map[string]any{"op": "message", "frames": []any{"house/alice/temp", "21 °C", map[string]any{"b64": "/wA="}}}
	for range 3 {
		if diff := cmp.Diff(want, alice.hear()); diff != "" {
			t.Fatal(diff)
		}
		if m, err := native.Recv(); err != nil || string(m[0]) != "house/alice/temp" {
			t.Fatalf("%q, %v", m, err)
		}
	}
	if list := b.Sessions(); len(list) != 2 || list[0].Dialect != "ZWSJSON1.0" || list[0].Mechanism != "PLAIN" {
		t.Errorf("sessions %+v", list)
	}
	alice.say(`{"op":"subscribe","topic":"house/bob/"}`)
	if code := alice.refused(); code != 4403 {
		t.Errorf("bob's house: %d, want 4403", code)
	}
	for text, code := range map[string]int{
		`{"op":"login","user":"alice","password":"wrong"}`:   4400,
		`{"op":"login","user":"nobody","password":"secret"}`: 4400,
		`{"op":"login"}`:                     4400,
		`{"op":"login","token":"a.b.c"}`:     4400,
		`{"op":"subscribe","topic":"house"}`: 1002,
	} {
		p := openPage(t, url+"/devices")
		p.say(text)
		if got := p.refused(); got != code {
			t.Errorf("%s: %d, want %d", text, got, code)
		}
	}
	if got := openPage(t, url+"/nothing").refused(); got != 4404 {
		t.Errorf("no such route: %d, want 4404", got)
	}
}

// TestJSONRequests: what a page sends reaches the device, and the answer the page.
func TestJSONRequests(t *testing.T) {
	device := listen(t, zmtp.ROUTER, zap.NULL, answer(zap.OK), func(c *zmtp.Conn) {
		for {
			m, err := c.ReadMessage()
			if err != nil || c.Write(append(m, []byte("done"))) != nil {
				return
			}
		}
	})
	url, _ := start(t, usersOnly+routeTo("/control", "DEALER", device, `allow = [ { user = "alice", send = ["house/{user}/"] } ]`))
	alice := openPage(t, url+"/control")
	alice.say(login("alice"))
	alice.hear()
	alice.say(`{"op":"send","frames":["house/alice/lamp",{"b64":"/w=="}]}`)
	want := map[string]any{"op": "message", "frames": []any{"house/alice/lamp", map[string]any{"b64": "/w=="}, "done"}}
	if diff := cmp.Diff(want, alice.hear()); diff != "" {
		t.Error(diff)
	}
	alice.say(`{"op":"send","frames":["house/bob/lamp"]}`)
	if code := alice.refused(); code != 4403 {
		t.Errorf("bob's lamp: %d, want 4403", code)
	}
	bob := openPage(t, url+"/control")
	bob.say(login("bob"))
	if code := bob.refused(); code != 4403 {
		t.Errorf("nothing is bob's here: %d, want 4403", code)
	}
}

// TestJSONFailures: refused logins count as any others do.
func TestJSONFailures(t *testing.T) {
	url, _ := start(t, "[server]\nmax_failures = 1\n"+usersOnly+routeTo("/d", "SUB", silent(t, zmtp.PUB)))
	p := openPage(t, url+"/d")
	p.say(strings.Replace(login("alice"), "secret", "guess", 1))
	if code := p.refused(); code != 4400 {
		t.Errorf("%d, want 4400", code)
	}
	if code := openPage(t, url+"/d").refused(); code != 4429 {
		t.Errorf("%d, want 4429", code)
	}
}
