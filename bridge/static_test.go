package bridge

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStaticFiles: of the folder what is meant for everybody, and nothing is said of the
// rest.
func TestStaticFiles(t *testing.T) {
	folder, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	for _, name := range []string{
		filepath.Join(folder, "index.html"), filepath.Join(folder, ".env"), filepath.Join(folder, ".git", "config"),
		filepath.Join(folder, "scripts", "a.js"), filepath.Join(folder, "help", "index.html"), outside,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	handler, err := staticFiles(folder)
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
		{http.MethodGet, "/scripts/", http.StatusNotFound}, // has no index.html
		{http.MethodGet, "/.env", http.StatusNotFound},
		{http.MethodGet, "/%2eenv", http.StatusNotFound},
		{http.MethodGet, "/.git/config", http.StatusNotFound},
		{http.MethodGet, "/link", http.StatusNotFound}, // leads out
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
