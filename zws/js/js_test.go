package js

import (
	"compress/gzip"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// budgets are the files that pages load, with the size in bytes with gzip that each must be below.
var budgets = map[string]int{
	"/zws.js": 14_300, "/zws/mux.js": 200, "/zws/relay.js": 900, "/zws/history.js": 2_000, "/zws/curve.js": 12_200,
	"/zws/store.js": 1_500,
}

// part is a group of modules of the source that a page needs together.
type part struct {
	needs string // the part besides "main" that its modules can import statically
	paths []string
}

// parts lists all parts; "main" contains every module that no other part lists.
var parts = map[string]part{
	"main":    {},
	"curve":   {paths: []string{"/zws/curve.js", "/zws/nacl.js", "/zws/z85.js"}},
	"mux":     {paths: []string{"/zws/mux.js", "/zws/channel.js"}},
	"history": {paths: []string{"/zws/history.js"}},
	"store":   {needs: "mux", paths: []string{"/zws/store.js"}},
	"relay":   {needs: "mux", paths: []string{"/zws/relay.js"}},
}

func partOf(file string) string {
	for name, p := range parts {
		if slices.Contains(p.paths, file) {
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
	for path, most := range budgets {
		m := client()[path]
		if m == nil {
			t.Fatalf("%s does not exist", path)
		}
		size := len(m.gzipped())
		t.Logf("%s: %d bytes with gzip", path, size)
		if size >= most {
			t.Errorf("%s: %d bytes with gzip, want fewer than %d", path, size, most)
		}
	}
}

// imported matches the names of modules that a module imports statically.
var imported = regexp.MustCompile(`(?:from|^import) ?["'](\.{1,2}/[^"']+)["']`)

// TestOneRequest checks that /zws.js imports nothing statically, and everything else only /zws.js.
func TestOneRequest(t *testing.T) {
	for name := range budgets {
		for _, m := range imported.FindAllStringSubmatch(string(client()[name].source), -1) {
			if target := path.Join(path.Dir(name), m[1]); name == "/zws.js" || target != "/zws.js" {
				t.Errorf("%s imports %s statically", name, target)
			}
		}
	}
}

// TestImports checks that modules import only each other, and that parts which not every page
// needs are loaded on demand.
func TestImports(t *testing.T) {
	names, err := fs.Glob(modules, "zws/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, "zws.js") {
		source, err := modules.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		own := partOf("/" + name)
		for _, m := range imported.FindAllStringSubmatch(string(source), -1) {
			target := path.Join(path.Dir(name), m[1])
			if _, err := fs.Stat(modules, target); err != nil {
				t.Errorf("%s imports %q, which does not exist", name, target)
			}
			if p := partOf("/" + target); p != "main" && p != own && p != parts[own].needs {
				t.Errorf("%s imports %s statically, want an import on demand", name, target)
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
	for _, path := range []string{"/", "/zws", "/zws/", "/js.go", "/package.json", "/zws/../zws.js", "/zws/connection", "/dist/zws.js", "/zws.js.map"} {
		if Serves(path) {
			t.Errorf("Serves(%q) = true, want false", path)
		}
		if r := get(t, http.MethodGet, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", path, r.Status)
		}
	}
}
