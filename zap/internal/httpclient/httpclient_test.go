package httpclient

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, h http.HandlerFunc) *http.Request {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestLimit: a body at the limit is read, and one more byte is an error.
func TestLimit(t *testing.T) {
	for size, ok := range map[int]bool{100: true, 101: false} {
		req := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", size)) })
		resp, err := HTTP(Options{MaxBody: 100}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "exceeds 100 bytes") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestRedirect: a redirect is the response.
func TestRedirect(t *testing.T) {
	req := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	resp, err := HTTP(Options{}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		t.Errorf("status %d, want 302", resp.StatusCode)
	}
}

// TestClose: a closed client refuses requests, and leaves no connections behind (goleak).
func TestClose(t *testing.T) {
	req := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if status, body, err := c.Do(req); status != http.StatusOK || string(body) != "HTTP/1.1" || err != nil {
		t.Errorf("%d %q, %v", status, body, err)
	}
	c.Close()
	if _, _, err := c.Do(req); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestValidURL(t *testing.T) {
	for text, want := range map[string]bool{
		"http://localhost/a": true, "https://host:8443/?a=b": true,
		"": false, "auth/user": false, "ftp://host/": false, "http:///path": false, "http://host/#x": false,
	} {
		if ValidURL(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
