// Package js holds the browser's client: ES modules that any page can import from the
// server, without a bundler. README.md beside it says how to use them.
package js

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// Files are the modules: zws.js, which a page imports, and what it imports itself from the
// folder zws; zws/curve.js and zws/nacl.js only once a page logs in by CURVE. A page that
// wants many sockets on one WebSocket imports zws/mux.js too, and zws/relay.js for relays on it.
//
//go:embed zws.js zws/*.js
var Files embed.FS

// file is one of Files as it is served.
type file struct {
	plain, compressed []byte
	tag               string
}

// served are the files by URL path, made when the first is asked for.
var served = sync.OnceValue(func() map[string]file {
	all := make(map[string]file)
	err := fs.WalkDir(Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		plain, err := Files.ReadFile(name)
		if err != nil {
			return err
		}
		plain = condensed(plain)
		sum := sha256.Sum256(plain)
		all["/"+name] = file{plain, compress(plain), base64.RawURLEncoding.EncodeToString(sum[:12])}
		return nil
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return all
})

// condensed takes comments and indentation away, a quarter of what travels. Line numbers
// stay, and so does the line that names the licence.
func condensed(source []byte) []byte {
	var kept bytes.Buffer
	block := false
	for line := range bytes.Lines(source) {
		text := bytes.TrimSpace(line)
		block = block || bytes.HasPrefix(text, []byte("/**"))
		comment := block || bytes.HasPrefix(text, []byte("//"))
		if !comment || bytes.Contains(text, []byte("SPDX-License-Identifier")) {
			kept.Write(uncommented(text))
		}
		kept.WriteByte('\n')
		block = block && !bytes.HasSuffix(text, []byte("*/"))
	}
	return kept.Bytes()
}

// uncommented is a line of code without the comment at its end.
func uncommented(line []byte) []byte {
	code, _, _ := bytes.Cut(line, []byte(" // "))
	for _, quote := range []string{"'", "\"", "`"} {
		if bytes.Count(code, []byte(quote))%2 != 0 {
			return line // that was within a string
		}
	}
	return code
}

func compress(plain []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // memory takes everything
	}
	return b.Bytes()
}

// Serves tells whether Handler has an answer for the path of a URL.
func Serves(urlPath string) bool {
	_, ok := served()[urlPath]
	return ok
}

// Handler serves Files at /zws.js and below /zws/, compressed for who takes that. Any
// page of any origin may import them: they hold nothing of this server. Browsers ask each
// time whether they have changed, so that never an old module meets a new one.
var Handler http.Handler = http.HandlerFunc(serve)

func serve(w http.ResponseWriter, r *http.Request) {
	f, ok := served()[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "want GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Vary", "Accept-Encoding")
	content, tag := f.plain, f.tag
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		content, tag = f.compressed, f.tag+"-gzip"
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, path.Base(r.URL.Path), time.Time{}, bytes.NewReader(content))
}

// takesGzip tells whether the client takes a compressed answer, without a condition.
func takesGzip(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(coding) == "gzip" {
				return true
			}
		}
	}
	return false
}
