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

// TestPage serves the page and does what its script does.
func TestPage(t *testing.T) {
	script, err := os.ReadFile("page/page.js")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(script), "\n"); n > 10 {
		t.Errorf("the ten lines are %d", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	urls, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- run(ctx, "127.0.0.1:0", func(url string) { urls <- url }) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	var url string
	select {
	case url = <-urls:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": `<script src="page.js">`, "page.js": "ZWSJSON1.0"} {
		answer, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Fatalf("%s: %q, %v", path, body, err)
		}
	}
	dialer := websocket.Dialer{Subprotocols: []string{"ZWSJSON1.0"}}
	ws, _, err := dialer.DialContext(ctx, strings.Replace(url, "http", "ws", 1)+"house", http.Header{"Origin": {strings.TrimSuffix(url, "/")}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ws.SetReadDeadline(time.Now().Add(time.Minute)) // a hang is a failure
	for _, step := range []struct{ say, hear string }{
		{`{"op":"login","user":"ann","password":"garden"}`, `{"op":"ready"}`},
		{`{"op":"subscribe","topic":"house/ann/"}`, `{"op":"message","frames":["house/ann/temperature","2`},
	} {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(step.say)); err != nil {
			t.Fatal(err)
		}
		if _, text, err := ws.ReadMessage(); err != nil || !strings.HasPrefix(string(text), step.hear) {
			t.Fatalf("heard %q, %v; want %s", text, err, step.hear)
		}
	}
}
