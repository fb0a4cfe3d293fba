package bridge

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStaticFiles checks that the files of a directory are served, and that hidden files, directory
// listings and links that lead out of the directory are not.
func TestStaticFiles(t *testing.T) {
	directory, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	for _, name := range []string{
		filepath.Join(directory, "index.html"), filepath.Join(directory, ".env"), filepath.Join(directory, ".git", "config"),
		filepath.Join(directory, "scripts", "a.js"), filepath.Join(directory, "help", "index.html"), outside,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(directory, "link")); err != nil {
		t.Fatal(err)
	}
	handler, err := staticFiles(directory)
	if err != nil {
		t.Fatal(err)
	}
	s := &state{static: handler}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/", http.StatusOK},
		{http.MethodHead, "/", http.StatusOK},
		{http.MethodGet, "/help/", http.StatusOK},
		{http.MethodGet, "/scripts/a.js", http.StatusOK},
		{http.MethodPost, "/", http.StatusMethodNotAllowed},
		{http.MethodGet, "/scripts/", http.StatusNotFound}, // without an index.html
		{http.MethodGet, "/.env", http.StatusNotFound},
		{http.MethodGet, "/%2eenv", http.StatusNotFound},
		{http.MethodGet, "/.git/config", http.StatusNotFound},
		{http.MethodGet, "/link", http.StatusNotFound}, // to a file outside
		{http.MethodGet, "/..%2foutside", http.StatusNotFound},
		{http.MethodGet, "/none", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		serveFile(w, httptest.NewRequest(tt.method, tt.path, nil), s.static, false)
		if w.Code != tt.status {
			t.Errorf("%s %s: %d %s, want %d", tt.method, tt.path, w.Code, strings.TrimSpace(w.Body.String()), tt.status)
		}
	}
}

// TestStaticClient checks that the JavaScript client is served with and without a directory of
// static files, and that a file in the directory replaces one of the same name.
func TestStaticClient(t *testing.T) {
	const own = "export const own = true;"
	directory := t.TempDir()
	if err := os.Mkdir(filepath.Join(directory, "zws"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "zws", "socket.js"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		directory, path string
		status          int
		own             bool
	}{
		{"", "/zws.js", http.StatusOK, false},
		{"", "/zws/socket.js", http.StatusOK, false},
		{"", "/zws/curve.js", http.StatusOK, false},
		{"", "/", http.StatusNotFound, false},
		{"", "/zws/", http.StatusNotFound, false},
		{directory, "/zws.js", http.StatusOK, false},
		{directory, "/zws/socket.js", http.StatusOK, true},
		{directory, "/zws/none.js", http.StatusNotFound, false},
	} {
		handler, err := staticFiles(tt.directory)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		if w.Code != tt.status || strings.Contains(w.Body.String(), own) != tt.own {
			t.Errorf("%s with directory %q: %d, own file %v; want %d, %v", tt.path, tt.directory, w.Code, !tt.own, tt.status, tt.own)
		}
		if got := w.Header().Get("Content-Type"); tt.status == http.StatusOK && !strings.HasPrefix(got, "text/javascript") {
			t.Errorf("%s with directory %q: Content-Type %q", tt.path, tt.directory, got)
		}
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
