package bridge_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestCodeLabels checks which close codes are counted. Codes that clients invent must not become
// labels.
func TestCodeLabels(t *testing.T) {
	url, b := start(t, usersOnly+routeTo("/d", "DEALER", echoRouter(t))+
		routeTo("/mute", "DEALER", unresponsive(t), `connect_timeout = "1m"`))
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()

	const login, object = "\x01\x05PLAIN\x05alice\x0ealice's secret", `{"op":"login","user":"alice","password":"alice's secret"}`
	open := func(protocol string, kind int, messages ...string) *websocket.Conn {
		d := websocket.Dialer{Subprotocols: []string{protocol}}
		ws, _, err := d.DialContext(t.Context(), url+"/d", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		for _, m := range messages {
			if err := ws.WriteMessage(kind, []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := ws.ReadMessage(); err != nil { // ready
			t.Fatal(err)
		}
		return ws
	}
	for _, code := range []int{1001, 3999, 4502} {
		ws := open("ZWSJSON1.0", websocket.TextMessage, object)
		if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	// A channel that the client closes before it is open, with an unknown code.
	open("ZWSMUX1.0", websocket.BinaryMessage, login,
		"\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05/mute", "\x07\x00\x00\x00\x01\xff\xff")
	for name, value := range map[string]string{"Origin": "https://evil.example", "Sec-WebSocket-Version": "8"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", strings.Replace(url, "ws", "http", 1)+"/d", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {"ZWSJSON1.0"}}
		r.Header.Set(name, value)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}

	for _, want := range []string{
		`zwsbridge_session_ends_total{code="1000",route="/d"} 2`,
		`zwsbridge_session_ends_total{code="1001",route="/d"} 1`,
		`zwsbridge_refusals_total{code="1000",route="/mute"} 1`,
		`zwsbridge_refusals_total{code="1002",route="/d"} 1`,
		`zwsbridge_refusals_total{code="4403",route="/d"} 1`,
	} {
		// Sessions end shortly after their clients.
		eventually(t, want, func() bool { return strings.Contains(metrics(t, admin.URL), want+"\n") })
	}
	text := metrics(t, admin.URL)
	for _, code := range []int{3999, 4502, 65535, 1011} {
		if label := fmt.Sprintf(`code="%d"`, code); strings.Contains(text, label) {
			t.Errorf("/metrics contains %s", label)
		}
	}
}

// TestDropReasons checks that messages that backends drop are counted by their reason.
func TestDropReasons(t *testing.T) {
	url, b := start(t, usersOnly+routeTo("/router", "ROUTER", silent(t, zmtp.DEALER)))
	admin := httptest.NewServer(b.Admin())
	defer admin.Close()
	c := connect(t, url+"/router", plainLogin("alice", zmtp.DEALER))
	if err := c.Send(t.Context(), message("nobody", "hello")); err != nil {
		t.Fatal(err)
	}
	const path = `,route="/router"} `
	eventually(t, "an unroutable message", func() bool {
		return strings.Contains(metrics(t, admin.URL), `zwsbridge_dropped_total{reason="unroutable"`+path+"1\n")
	})
	for _, reason := range []string{"slow-client", "backend-full", "unasked"} {
		if want := fmt.Sprintf("zwsbridge_dropped_total{reason=%q%s0\n", reason, path); !strings.Contains(metrics(t, admin.URL), want) {
			t.Errorf("/metrics does not contain %s", want)
		}
	}
}

// metrics returns the text of /metrics.
func metrics(t *testing.T, admin string) string {
	t.Helper()
	resp, err := http.Get(admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
