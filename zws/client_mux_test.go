package zws

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
)

// TestMuxOpenAtTheEnd: opening a channel while the connection ends returns why it ends.
func TestMuxOpenAtTheEnd(t *testing.T) {
	end := func(c *websocket.Conn, code int) error {
		return c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Minute))
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{"ZWSMUX1.0"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		c.SetCloseHandler(func(int, string) error { return end(c, int(CodeExpired)) })
		if _, _, err := c.ReadMessage(); err != nil { // the login
			t.Error(err)
		}
		if err := c.WriteMessage(websocket.BinaryMessage, (&muxframe.Frame{Op: muxframe.Ready, Number: 1}).Append(nil)); err != nil {
			t.Error(err)
		}
		_, _, _ = c.ReadMessage() // the close frame
	}))
	defer server.Close()
	m, err := DialMux(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := end(m.ws, 1000); err != nil { // as the library does when it has read one
		t.Fatal(err)
	}
	if _, err := m.Open(t.Context(), ChannelOptions{Route: "/"}); Cause(err).Code != CodeExpired {
		t.Errorf("%v, want 4401", err)
	}
}
