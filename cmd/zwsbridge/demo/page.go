package demo

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/zwsbridge/zwsbridge/zws/js"
)

//go:embed page
var files embed.FS

// policy allows the page to load its own files and to connect to its own origin, nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page serves the files of the demo's page and passes every other request to next: the
// bridge, which also serves the client that the page imports (/zws.js).
func Page(next http.Handler) http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the directory is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("/", next)
	for _, path := range []string{"/{$}", "/style.css", "/page.js", "/house.js", "/words.js"} {
		mux.Handle("GET "+path, withHeaders(http.FileServerFS(page)))
	}
	mux.Handle("GET /sparkline.js", withHeaders(http.FileServerFS(js.Sparkline)))
	return mux
}

// withHeaders adds the security headers of the page.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
