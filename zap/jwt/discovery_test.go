package jwt

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestDiscovery uses HTTP, with a good issuer and with defective ones.
func TestDiscovery(t *testing.T) {
	one := drawn(t, "one")
	set := object(t, map[string]any{"keys": []any{jwkOf(t, one)}})
	for name, c := range map[string]struct {
		document func(base string) map[string]string // nil: none
		jwks     http.HandlerFunc
		want     string
	}{
		"as it should be": {func(base string) map[string]string {
			return map[string]string{"issuer": base, "jwks_uri": base + "/jwks"}
		}, nil, "200"},
		"another issuer's document": {func(base string) map[string]string {
			return map[string]string{"issuer": base + "/", "jwks_uri": base + "/jwks"}
		}, nil, "error"},
		"keys by http from afar": {func(base string) map[string]string {
			return map[string]string{"issuer": base, "jwks_uri": "http://keys.example/jwks"}
		}, nil, "error"},
		"no keys named": {func(base string) map[string]string {
			return map[string]string{"issuer": base}
		}, nil, "error"},
		"no document": {nil, nil, "error"},
		"a redirect": {nil, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/real", http.StatusFound)
		}, "error"},
		"an endless answer": {nil, func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "error"},
		"no answer":    {nil, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "error"},
		"not JSON":     {nil, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, "error"},
		"not a set":    {nil, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") }, "error"},
		"server error": {nil, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			defer server.Close()
			mux.HandleFunc("/real", func(w http.ResponseWriter, r *http.Request) { w.Write(set) })
			jwks := c.jwks
			if jwks == nil {
				jwks = func(w http.ResponseWriter, r *http.Request) { w.Write(set) }
			}
			mux.HandleFunc("/jwks", jwks)
			document := c.document
			if document == nil && c.jwks != nil {
				document = func(base string) map[string]string {
					return map[string]string{"issuer": base, "jwks_uri": base + "/jwks"}
				}
			}
			if document != nil {
				mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
					w.Write(object(t, document(server.URL)))
				})
			}
			o := idp()
			o.Issuer, o.Discovery, o.Timeout = server.URL, true, 2*time.Second
			o.Logger = slog.New(slog.DiscardHandler)
			a, err := New(o)
			must(t, err)
			if got := verdict(ask(t, a, signed(t, one, map[string]any{"iss": server.URL}))); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			must(t, a.Close())
		})
	}
}

// TestCheckURL: only https, and http for loopback.
func TestCheckURL(t *testing.T) {
	for url, good := range map[string]bool{
		"https://idp.example/jwks": true, "http://127.0.0.1:8080/jwks": true, "http://[::1]/": true,
		"http://localhost/": true, "http://127.9.9.9/": true,
		"http://idp.example/": false, "http://localhost.example/": false, "http://10.0.0.1/": false,
		"ftp://127.0.0.1/": false, "file:///etc/passwd": false, "https://": false, "": false,
		"https://user:secret@idp.example/": false, "http://127.0.0.1.example/": false,
	} {
		if err := CheckURL(url); (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		}
		if err := CheckURL(url); err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}
