package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestPage requests the page and sends and receives what its script does.
func TestPage(t *testing.T) {
	script, err := os.ReadFile("page/page.js")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(script), "\n"); n > 10 {
		t.Errorf("page.js has %d lines, want at most 10", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	urls, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", func(url string) { urls <- url }) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	var url string
	select {
	case url = <-urls:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": `<script src="page.js">`, "page.js": "ZWSJSON1.0"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Fatalf("%s: %q, %v", path, body, err)
		}
	}
	ws := login(ctx, t, url)
	defer ws.Close()
	for _, step := range []struct{ send, want string }{
		{`{"op":"subscribe","topic":"house/ann/"}`, `{"op":"message","frames":["house/ann/temperature","2`},
	} {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(step.send)); err != nil {
			t.Fatal(err)
		}
		if _, text, err := ws.ReadMessage(); err != nil || !strings.HasPrefix(string(text), step.want) {
			t.Fatalf("received %q, %v; want %s", text, err, step.want)
		}
	}
}

// login returns a connection of a page that has logged in as ann. A busy machine can have no
// time for the password: the bridge then asks the page to try again.
func login(ctx context.Context, t *testing.T, url string) *websocket.Conn {
	dialer := websocket.Dialer{Subprotocols: []string{"ZWSJSON1.0"}}
	for {
		ws, _, err := dialer.DialContext(ctx, strings.Replace(url, "http", "ws", 1)+"house", http.Header{"Origin": {strings.TrimSuffix(url, "/")}})
		if err != nil {
			t.Fatal(err)
		}
		ws.SetReadDeadline(time.Now().Add(time.Minute)) // fail instead of hanging
		if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"op":"login","user":"ann","password":"garden"}`)); err != nil {
			t.Fatal(err)
		}
		_, text, err := ws.ReadMessage()
		switch {
		case err == nil && string(text) == `{"op":"ready"}`:
			return ws
		case err != nil || !strings.Contains(string(text), `"code":4300`):
			t.Fatalf("received %q, %v; want ready", text, err)
		}
		ws.Close()
	}
}
