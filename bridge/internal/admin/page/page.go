// Package page is the page that shows an operator what the bridge does. It is made of
// static files that hold nothing worth protecting: what they show, they ask the admin
// interface for, which wants a login.
package page

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/zwsbridge/zwsbridge/zws/js"
)

//go:embed static
var files embed.FS

// policy lets the page load its own files and talk to its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Paths are what Handler serves, in the form of [http.ServeMux].
var Paths = []string{"/{$}", "/admin.css", "/admin.js", "/codes.js", "/sparkline.js", "/table.js"}

// Handler serves the files at Paths.
func Handler() http.Handler {
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the folder is part of the program
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
