package bridge

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
)

// TestStaticAfterClose checks that a request that was on its way when the bridge closed gets its
// file, and not 404.
func TestStaticAfterClose(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Server.Static = config.Path(dir)
	b, err := New(c, Options{Logger: slog.New(slog.DiscardHandler), Handler: zap.HandlerFunc(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/page.txt", nil))
	if w.Code != http.StatusOK || w.Body.String() != "hello" {
		t.Errorf("%d %q, want 200 hello", w.Code, w.Body)
	}
}

// TestStaticMethods checks that files are served for GET and HEAD only, if there are any.
func TestStaticMethods(t *testing.T) {
	files := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for method, status := range map[string]int{
		http.MethodGet: http.StatusNoContent, http.MethodHead: http.StatusNoContent,
		http.MethodPost: http.StatusMethodNotAllowed, http.MethodPut: http.StatusMethodNotAllowed,
	} {
		w := httptest.NewRecorder()
		serveFile(w, httptest.NewRequest(method, "/", nil), files, false)
		if w.Code != status {
			t.Errorf("%s: %d, want %d", method, w.Code, status)
		}
	}
	w := httptest.NewRecorder()
	serveFile(w, httptest.NewRequest(http.MethodGet, "/", nil), nil, false)
	if w.Code != http.StatusNotFound {
		t.Errorf("without files: %d, want 404", w.Code)
	}
}

// TestRouteWithoutUpgrade checks that a plain request for a route gets an answer that HTTP/2
// can carry: RFC 9113, section 8.2.2, makes one with Upgrade or Connection a protocol error.
func TestRouteWithoutUpgrade(t *testing.T) {
	for _, tt := range []struct {
		method, key string
		text        string
	}{
		{http.MethodGet, "", "this is a ZeroMQ route: connect by WebSocket"},
		{http.MethodHead, "", "this is a ZeroMQ route: connect by WebSocket"},
		{http.MethodPost, "", "this is a ZeroMQ route: connect by WebSocket"},
		{http.MethodGet, "dGhlIHNhbXBsZSBub25jZQ==", "this is a ZeroMQ route: connect by WebSocket (a proxy on the way has removed the header Upgrade or Connection)"},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(tt.method, "/route", nil)
		r.Header.Set("Sec-Websocket-Key", tt.key)
		serveFile(w, r, nil, true)
		if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusBadRequest || got != tt.text {
			t.Errorf("%s, key %q: %d %q, want 400 %q", tt.method, tt.key, w.Code, got, tt.text)
		}
		for _, name := range []string{"Upgrade", "Connection", "Keep-Alive", "Transfer-Encoding"} {
			if value := w.Header().Get(name); value != "" {
				t.Errorf("%s: the answer has %s: %s", tt.method, name, value)
			}
		}
	}
}
