package js

import (
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// part is a group of modules that a page loads together.
type part struct {
	max   int    // total size in bytes with gzip must be below this
	needs string // the part besides "main" that its modules can import statically
	paths []string
}

// parts lists all parts; "main" contains every module that no other part lists.
var parts = map[string]part{
	"main":    {max: 22_500},
	"curve":   {max: 17_000, paths: []string{"/zws/curve.js", "/zws/nacl.js", "/zws/z85.js"}},
	"mux":     {max: 7_400, paths: []string{"/zws/mux.js", "/zws/channel.js", "/zws/muxframe.js"}},
	"history": {max: 3_500, paths: []string{"/zws/history.js"}},
	"relay":   {max: 1_500, needs: "mux", paths: []string{"/zws/relay.js"}},
}

func partOf(path string) string {
	for name, p := range parts {
		if slices.Contains(p.paths, path) {
			return name
		}
	}
	return "main"
}

func get(t *testing.T, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSize checks the size budgets, which README.md states.
func TestSize(t *testing.T) {
	sizes := make(map[string]int)
	for path, m := range client() {
		sizes[partOf(path)] += len(m.gzipped)
	}
	t.Logf("%d modules, bytes with gzip: %v", len(client()), sizes)
	for name, p := range parts {
		if sizes[name] == 0 || sizes[name] >= p.max {
			t.Errorf("%s: %d bytes with gzip, want fewer than %d", name, sizes[name], p.max)
		}
	}
}

// TestImports checks that modules import only each other, and that parts which not every page
// needs are loaded on demand.
func TestImports(t *testing.T) {
	for path, m := range client() {
		own := partOf(path)
		for line := range strings.Lines(string(m.source)) {
			_, name, ok := strings.Cut(strings.TrimRight(line, "\n"), " from './")
			if !ok {
				continue
			}
			name = "/" + strings.TrimSuffix(name, "';")
			if strings.HasPrefix(path, "/zws/") {
				name = "/zws" + name
			}
			if !Serves(name) {
				t.Errorf("%s imports %q, which does not exist", path, name)
			}
			if p := partOf(name); p != "main" && p != own && p != parts[own].needs {
				t.Errorf("%s imports %s statically, want an import on demand", path, name)
			}
		}
	}
}

func TestHandler(t *testing.T) {
	for path, m := range client() {
		plain := get(t, http.MethodGet, path)
		text := body(t, plain.Body)
		if plain.StatusCode != http.StatusOK || !strings.Contains(text, "SPDX-License-Identifier: ") {
			t.Fatalf("%s: %s, %d bytes", path, plain.Status, len(text))
		}
		if text != string(m.source) {
			t.Errorf("%s: the response differs from the file", path)
		}
		compressed := get(t, http.MethodGet, path, "Accept-Encoding", "br, gzip")
		if got := compressed.Header.Get("Content-Encoding"); got != "gzip" {
			t.Fatalf("%s: Content-Encoding %q, want gzip", path, got)
		}
		r, err := gzip.NewReader(compressed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body(t, r) != text {
			t.Errorf("%s: the text with gzip differs from the text without", path)
		}
		for _, r := range []*http.Response{plain, compressed} {
			want := map[string]string{
				"Content-Type":                "text/javascript; charset=utf-8",
				"X-Content-Type-Options":      "nosniff",
				"Cache-Control":               "no-cache",
				"Access-Control-Allow-Origin": "*",
				"Vary":                        "Accept-Encoding",
			}
			got := maps.Clone(want)
			for name := range want {
				got[name] = r.Header.Get(name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", path, diff)
			}
		}
		again := get(t, http.MethodGet, path, "If-None-Match", plain.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %s for an unchanged module, want 304", path, again.Status)
		}
		if plain.Header.Get("ETag") == compressed.Header.Get("ETag") {
			t.Errorf("%s: the same ETag with and without gzip", path)
		}
	}
}

func TestAcceptEncoding(t *testing.T) {
	for accept, want := range map[string]string{
		"":                  "",
		"identity":          "",
		"*":                 "",
		"gzip":              "gzip",
		"GZIP":              "gzip",
		"deflate,gzip, br":  "gzip",
		"br;q=1, gzip;q=.5": "gzip",
		"gzip; q=1.0":       "gzip",
		"gzip;q=0":          "",
		"gzip;q=0.000":      "",
		"gzip;q=wrong":      "",
		"x-gzip":            "",
	} {
		r := get(t, http.MethodGet, "/zws.js", "Accept-Encoding", accept)
		if got := r.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, want %q", accept, got, want)
		}
	}
}

func TestHandlerRefuses(t *testing.T) {
	if r := get(t, http.MethodPost, "/zws.js"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") == "" {
		t.Errorf("POST: %s, Allow %q", r.Status, r.Header.Get("Allow"))
	}
	if r := get(t, http.MethodHead, "/zws.js"); r.StatusCode != http.StatusOK || body(t, r.Body) != "" {
		t.Errorf("HEAD: %s, want 200 without a body", r.Status)
	}
	for _, path := range []string{"/", "/zws", "/zws/", "/js.go", "/package.json", "/zws/../zws.js", "/zws/connection"} {
		if Serves(path) {
			t.Errorf("Serves(%q) = true, want false", path)
		}
		if r := get(t, http.MethodGet, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", path, r.Status)
		}
	}
}
