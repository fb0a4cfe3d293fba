package demo

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed page
var files embed.FS

// policy lets the page load its own files and talk to its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page serves the demo's page and gives all else that is asked for to next: the bridge,
// which has the client that the page imports (/zws.js).
func Page(next http.Handler) http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	server := http.FileServerFS(page)
	mux := http.NewServeMux()
	mux.Handle("/", next)
	for _, path := range []string{"/{$}", "/style.css", "/page.js", "/house.js", "/sparkline.js", "/words.js"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Security-Policy", policy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cache-Control", "no-cache")
			server.ServeHTTP(w, r)
		})
	}
	return mux
}
