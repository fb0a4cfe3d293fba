package bridge

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The browser's client is there without a folder of one's own, and beside it; a file of
// the same name takes its place.
func TestStaticClient(t *testing.T) {
	const own = "export const own = true;"
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "zws"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "zws", "socket.js"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		folder, path string
		status       int
		own          bool
	}{
		{"", "/zws.js", http.StatusOK, false},
		{"", "/zws/socket.js", http.StatusOK, false},
		{"", "/zws/curve.js", http.StatusOK, false},
		{"", "/", http.StatusNotFound, false},
		{"", "/zws/", http.StatusNotFound, false},
		{folder, "/zws.js", http.StatusOK, false},
		{folder, "/zws/socket.js", http.StatusOK, true},
		{folder, "/zws/none.js", http.StatusNotFound, false},
	} {
		handler, err := staticFiles(tt.folder)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		if w.Code != tt.status || strings.Contains(w.Body.String(), own) != tt.own {
			t.Errorf("%s with folder %q: %d, own file %v; want %d, %v", tt.path, tt.folder, w.Code, !tt.own, tt.status, tt.own)
		}
		if got := w.Header().Get("Content-Type"); tt.status == http.StatusOK && !strings.HasPrefix(got, "text/javascript") {
			t.Errorf("%s with folder %q: Content-Type %q", tt.path, tt.folder, got)
		}
	}
}
