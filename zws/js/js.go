package js

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:generate npm run bundle

//go:embed zws.js zws/*.js dist/zws.js dist/zws/*.js
var modules embed.FS

// client returns the files of the client by URL path: those of dist, and the modules that none
// of them replaces.
var client = sync.OnceValue(func() map[string]*module {
	all := make(map[string]*module)
	err := fs.WalkDir(modules, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		source, err := modules.ReadFile(name)
		if err != nil {
			return err
		}
		path, bundled := strings.CutPrefix(name, "dist")
		if !bundled {
			path = "/" + name
		}
		if _, replaced := all[path]; !replaced { // WalkDir visits dist first
			all[path] = newModule(source)
		}
		return nil
	})
	if err != nil {
		panic(err) // cannot happen: the files are embedded
	}
	return all
})

// Serves reports whether Handler has a module for the URL path.
func Serves(urlPath string) bool {
	_, ok := client()[urlPath]
	return ok
}

// Handler serves the client at /zws.js and below /zws/, and answers 404 to any other path.
// Modules are sent gzipped to clients that accept it. Pages of any origin can import them:
// they contain nothing specific to this server. Browsers revalidate them on each load, so
// that modules of two versions never meet in one page.
var Handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	m, ok := client()[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	m.ServeHTTP(w, r)
})

// module is one JavaScript file, ready to be served. It is compressed on first use.
type module struct {
	source  []byte
	gzipped func() []byte
	tag     string
}

func newModule(source []byte) *module {
	source, _, _ = bytes.Cut(source, []byte("//# sourceMappingURL=")) // only the npm package has the maps
	sum := sha256.Sum256(source)
	return &module{
		source: source, gzipped: sync.OnceValue(func() []byte { return compress(source) }),
		tag: base64.RawURLEncoding.EncodeToString(sum[:12]),
	}
}

func compress(source []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(source)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // cannot happen: the level is valid and a buffer takes every write
	}
	return b.Bytes()
}

// ServeHTTP implements [http.Handler].
func (m *module) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed: use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Vary", "Accept-Encoding")
	content, tag := m.source, m.tag
	if AcceptsEncoding(r, "gzip") {
		h.Set("Content-Encoding", "gzip")
		content, tag = m.gzipped(), m.tag+"-gzip"
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// AcceptsEncoding reports whether the request's Accept-Encoding names a coding such as "gzip",
// other than with q=0 (RFC 9110, section 12.5.3). A wildcard does not count.
func AcceptsEncoding(r *http.Request, coding string) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for accepted := range strings.SplitSeq(line, ",") {
			name, parameter, weighted := strings.Cut(accepted, ";")
			if !strings.EqualFold(strings.TrimSpace(name), coding) {
				continue
			}
			_, weight, _ := strings.Cut(parameter, "=")
			q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
			return !weighted || err == nil && q > 0
		}
	}
	return false
}
