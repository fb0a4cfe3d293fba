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

// part is modules that a page loads together.
type part struct {
	max   int    // octets that it may have, compressed
	needs string // another part than "main" that its modules import
	paths []string
}

// parts are all but those of "main", which is what is left.
var parts = map[string]part{
	"main":  {max: 12_000},
	"curve": {max: 16_000, paths: []string{"/zws/curve.js", "/zws/nacl.js", "/zws/z85.js"}},
	"mux":   {max: 4_500, paths: []string{"/zws/mux.js", "/zws/channel.js", "/zws/muxframe.js"}},
	"relay": {max: 1_000, needs: "mux", paths: []string{"/zws/relay.js"}},
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

func TestSize(t *testing.T) {
	sizes := make(map[string]int)
	for path, f := range served() {
		sizes[partOf(path)] += len(f.compressed)
	}
	t.Logf("%d modules, octets: %v", len(served()), sizes)
	for name, p := range parts {
		if sizes[name] == 0 || sizes[name] >= p.max {
			t.Errorf("%s has %d octets, allowed are %d", name, sizes[name], p.max)
		}
	}
}

// The modules import each other and nothing else, and those of a part that not every page
// wants are loaded on demand.
func TestImports(t *testing.T) {
	for path, f := range served() {
		own := partOf(path)
		for line := range strings.Lines(string(f.plain)) {
			_, name, ok := strings.Cut(strings.TrimRight(line, "\n"), " from './")
			if !ok {
				continue
			}
			name = "/" + strings.TrimSuffix(name, "';")
			if strings.HasPrefix(path, "/zws/") {
				name = "/zws" + name
			}
			if !Serves(name) {
				t.Errorf("%s imports %q", path, name)
			}
			if p := partOf(name); p != "main" && p != own && p != parts[own].needs {
				t.Errorf("%s imports %s, which is to be loaded on demand", path, name)
			}
		}
	}
}

func TestHandler(t *testing.T) {
	for path := range served() {
		plain := get(t, http.MethodGet, path)
		text := body(t, plain.Body)
		if plain.StatusCode != http.StatusOK || !strings.Contains(text, "SPDX-License-Identifier: ") {
			t.Fatalf("%s: %s, %d octets", path, plain.Status, len(text))
		}
		compressed := get(t, http.MethodGet, path, "Accept-Encoding", "br, gzip")
		if got := compressed.Header.Get("Content-Encoding"); got != "gzip" {
			t.Fatalf("%s: Content-Encoding %q", path, got)
		}
		r, err := gzip.NewReader(compressed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body(t, r) != text {
			t.Errorf("%s: another text with gzip than without", path)
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
			t.Errorf("%s: %s where nothing has changed", path, again.Status)
		}
		if plain.Header.Get("ETag") == compressed.Header.Get("ETag") {
			t.Errorf("%s: one tag for two answers", path)
		}
	}
}

func TestHandlerRefuses(t *testing.T) {
	if r := get(t, http.MethodPost, "/zws.js"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") == "" {
		t.Errorf("POST: %s, Allow %q", r.Status, r.Header.Get("Allow"))
	}
	if r := get(t, http.MethodHead, "/zws.js"); r.StatusCode != http.StatusOK || body(t, r.Body) != "" {
		t.Errorf("HEAD: %s", r.Status)
	}
	for _, path := range []string{"/", "/zws", "/zws/", "/js.go", "/package.json", "/zws/../zws.js", "/zws/connection"} {
		if Serves(path) {
			t.Errorf("%s is served", path)
		}
		if r := get(t, http.MethodGet, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}

func TestCondensed(t *testing.T) {
	const source = `// Header. SPDX-License-Identifier: X
// More.
import a from './a.js'; // goes

/** One line. */
const url = 'ws://host'; /** stays */
const slashes = 'a // b'; // stays
  /**
   * Block.
   */
  async* items() {
    // Gone.
  }
`
	const want = `// Header. SPDX-License-Identifier: X

import a from './a.js';


const url = 'ws://host'; /** stays */
const slashes = 'a // b'; // stays



async* items() {

}
`
	if diff := cmp.Diff(want, string(condensed([]byte(source)))); diff != "" {
		t.Error(diff)
	}
}

// What is within backticks keeps its indentation by beginning and ending on one line.
func TestTemplates(t *testing.T) {
	for path, f := range served() {
		for line := range strings.Lines(string(f.plain)) {
			if strings.Count(line, "`")%2 != 0 {
				t.Errorf("%s: a template of several lines: %s", path, line)
			}
		}
	}
}
