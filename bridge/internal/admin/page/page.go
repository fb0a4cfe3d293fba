package page

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/zwsbridge/zwsbridge/zws/js"
)

//go:embed static
var files embed.FS

// policy allows the page to load files from its own origin and to connect to it, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Paths lists the patterns that Handler serves, in the syntax of [http.ServeMux].
var Paths = []string{"/{$}", "/admin.css", "/admin.js", "/codes.js", "/format.js", "/pages.js", "/sparkline.js", "/table.js"}

// Handler returns a handler that serves the page's files at Paths.
func Handler() http.Handler {
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // cannot happen: the directory is embedded
	}
	server := http.NewServeMux()
	server.Handle("/", http.FileServerFS(static))
	server.Handle("/sparkline.js", http.FileServerFS(js.Sparkline))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		server.ServeHTTP(w, r)
	})
}
