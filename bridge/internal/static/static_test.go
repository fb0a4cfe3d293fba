package static

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write makes files with the given contents, and returns their directory.
func write(t *testing.T, contents map[string]string) string {
	t.Helper()
	directory, now := t.TempDir(), time.Now()
	for name, content := range contents {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func serve(handler http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// TestFileServer checks that answers are those of http.FileServer, but for the ETag.
func TestFileServer(t *testing.T) {
	directory := write(t, map[string]string{
		"index.html": "<!doctype html><title>home</title>", "sub/index.html": "below", "a.js": "let a = 1;",
		"README": "plain text without an extension", "photo": "\x89PNG\r\n\x1a\n0123456789", "empty": "", "data.bin": strings.Repeat("0123456789", 100),
	})
	handler, err := New(directory)
	if err != nil {
		t.Fatal(err)
	}
	reference := http.FileServer(http.Dir(directory))
	info, err := os.Stat(filepath.Join(directory, "data.bin"))
	if err != nil {
		t.Fatal(err)
	}
	modified := info.ModTime().UTC().Format(http.TimeFormat)
	for _, headers := range [][]string{
		nil, {"Range", "bytes=0-3"}, {"Range", "bytes=-4"}, {"Range", "bytes=2-3,5-"}, {"Range", "bytes=5000-"}, {"Range", "lines=1"},
		{"If-Modified-Since", modified}, {"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}, {"Range", "bytes=0-3", "If-Range", modified},
		{"Range", "bytes=0-3", "If-Range", "Mon, 02 Jan 2006 15:04:05 GMT"}, {"Accept-Encoding", "gzip, br"}, {"If-None-Match", `"other"`}, {"If-Match", "*"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, path := range []string{
				"/", "/index.html", "/sub", "/sub/", "/sub/index.html", "/a.js", "/a.js/", "/README", "/photo", "/empty", "/data.bin", "/none", "/sub/none",
			} {
				got, want := serve(handler, method, path, headers...), serve(reference, method, path, headers...)
				tag := got.Header().Get("ETag")
				got.Header().Del("ETag")
				if want.Code == http.StatusNotModified {
					want.Header().Del("Last-Modified") // which net/http leaves out beside an ETag
				}
				for _, w := range []*httptest.ResponseRecorder{got, want} { // whose boundary is random
					if kind, boundary, ok := strings.Cut(w.Header().Get("Content-Type"), "; boundary="); ok {
						w.Header().Set("Content-Type", kind)
						w.Body = bytes.NewBufferString(strings.ReplaceAll(w.Body.String(), boundary, ""))
					}
				}
				if got.Code != want.Code || cmp.Diff(want.Header(), got.Header()) != "" || got.Body.String() != want.Body.String() {
					t.Errorf("%s %s %q: %d %v %q\nwant %d %v %q", method, path, headers, got.Code, got.Header(), got.Body, want.Code, want.Header(), want.Body)
				}
				if hasTag := tag != ""; hasTag != (got.Code == http.StatusOK || got.Code == http.StatusPartialContent || got.Code == http.StatusNotModified) {
					t.Errorf("%s %s %q: %d with ETag %q", method, path, headers, got.Code, tag)
				}
			}
		}
	}
}

// TestETag checks that a file is not sent again while its ETag is the same, and is once it has changed.
func TestETag(t *testing.T) {
	directory := write(t, map[string]string{"index.html": "one"})
	handler, err := New(directory)
	if err != nil {
		t.Fatal(err)
	}
	tag := serve(handler, http.MethodGet, "/").Header().Get("ETag")
	if w := serve(handler, http.MethodGet, "/", "If-None-Match", tag); w.Code != http.StatusNotModified {
		t.Errorf("the same ETag: %d, want 304", w.Code)
	}
	if w := serve(handler, http.MethodGet, "/", "If-Range", tag, "Range", "bytes=0-0"); w.Code != http.StatusPartialContent {
		t.Errorf("the same ETag in If-Range: %d, want 206", w.Code)
	}
	path := filepath.Join(directory, "index.html")
	if err := os.WriteFile(path, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if w := serve(handler, http.MethodGet, "/", "If-None-Match", tag); w.Code != http.StatusOK || w.Body.String() != "two" {
		t.Errorf("after a change: %d %s", w.Code, w.Body)
	}
}

// TestCompressed checks which of a file and its compressed copies is served.
func TestCompressed(t *testing.T) {
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	if _, err := writer.Write([]byte("<p>home")); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	directory := write(t, map[string]string{
		"index.html": "<p>home", "index.html.gz": zipped.String(), "index.html.br": "brotli", "README": "text", "README.gz": zipped.String(),
		"stale.js": "new", "stale.js.gz": zipped.String(), "only.js.gz": zipped.String(), "directory.js": "file", "directory.js.gz/index.html": "",
	})
	if err := os.Chtimes(filepath.Join(directory, "stale.js.gz"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	handler, err := New(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, accepts          string
		status                 int
		encoding, kind, varies string
	}{
		{"/", "gzip, br", 200, "br", "text/html; charset=utf-8", "Accept-Encoding"},
		{"/", "gzip", 200, "gzip", "text/html; charset=utf-8", "Accept-Encoding"},
		{"/", "gzip, br;q=0", 200, "gzip", "text/html; charset=utf-8", "Accept-Encoding"},
		{"/", "", 200, "", "text/html; charset=utf-8", "Accept-Encoding"},
		{"/README", "gzip", 200, "gzip", "text/plain; charset=utf-8", "Accept-Encoding"},
		{"/stale.js", "gzip", 200, "", "text/javascript; charset=utf-8", ""},
		{"/directory.js", "gzip", 200, "", "text/javascript; charset=utf-8", ""},
		{"/only.js", "gzip", 404, "", "text/plain; charset=utf-8", ""},
		{"/index.html", "gzip", 301, "", "", ""},
	} {
		w := serve(handler, http.MethodGet, tt.path, "Accept-Encoding", tt.accepts)
		h := w.Header()
		got := []any{w.Code, h.Get("Content-Encoding"), h.Get("Content-Type"), h.Get("Vary")}
		if diff := cmp.Diff([]any{tt.status, tt.encoding, tt.kind, tt.varies}, got); diff != "" {
			t.Errorf("%s, Accept-Encoding %q (-want +got):\n%s", tt.path, tt.accepts, diff)
		}
		if tag := h.Get("ETag"); w.Code == http.StatusOK && !strings.HasSuffix(tag, tt.encoding+`"`) {
			t.Errorf("%s, Accept-Encoding %q: ETag %s", tt.path, tt.accepts, tag)
		}
		if tt.encoding == "gzip" {
			if w := serve(handler, http.MethodGet, tt.path, "Accept-Encoding", "gzip", "If-None-Match", h.Get("ETag")); w.Code != http.StatusNotModified {
				t.Errorf("%s: %d with its ETag, want 304", tt.path, w.Code)
			}
			if w := serve(handler, http.MethodGet, tt.path, "Accept-Encoding", "gzip", "Range", "bytes=0-1"); w.Code != http.StatusPartialContent || w.Body.String() != "\x1f\x8b" {
				t.Errorf("%s: %d %q for a range of the copy", tt.path, w.Code, w.Body)
			}
		}
	}
}

// TestHidden checks that hidden files, directory
// listings and links that lead out of the directory are not served.
func TestHidden(t *testing.T) {
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
	handler, err := New(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/", http.StatusOK},
		{http.MethodHead, "/", http.StatusOK},
		{http.MethodGet, "/help/", http.StatusOK},
		{http.MethodGet, "/scripts/a.js", http.StatusOK},
		{http.MethodGet, "/scripts/", http.StatusNotFound}, // without an index.html
		{http.MethodGet, "/.env", http.StatusNotFound},
		{http.MethodGet, "/%2eenv", http.StatusNotFound},
		{http.MethodGet, "/.git/config", http.StatusNotFound},
		{http.MethodGet, "/link", http.StatusNotFound}, // to a file outside
		{http.MethodGet, "/..%2foutside", http.StatusNotFound},
		{http.MethodGet, "/none", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status {
			t.Errorf("%s %s: %d %s, want %d", tt.method, tt.path, w.Code, strings.TrimSpace(w.Body.String()), tt.status)
		}
	}
}

// TestClient checks that the JavaScript client is served with and without a directory of
// static files, and that a file in the directory replaces one of the same name.
func TestClient(t *testing.T) {
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
		handler, err := New(tt.directory)
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
