package httpauth

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/internal/httpclient"
)

// raw is a service that reads a request and writes text, or hangs if it is empty.
func raw(t *testing.T, text string) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	hold := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil && text == "" {
				<-hold
			}
			_, _ = conn.Write([]byte(text))
			conn.Close()
		}
	}()
	t.Cleanup(func() { close(hold); l.Close(); <-ended })
	return "http://" + l.Addr().String()
}

// TestDefects: a service with one defect neither accepts nor refuses anybody, which is status
// 300, and a good service is not affected.
func TestDefects(t *testing.T) {
	good := open(t, serve(t, always("allow")).options())
	elsewhere := serve(t, always("allow"))
	handler := func(h http.HandlerFunc) func(*testing.T) string {
		return func(t *testing.T) string {
			s := httptest.NewServer(h)
			t.Cleanup(s.Close)
			return s.URL
		}
	}
	text := func(text string) func(*testing.T) string {
		return func(t *testing.T) string { return raw(t, text) }
	}
	for _, tc := range []struct {
		name    string
		service func(t *testing.T) (base string)
	}{
		{"nobody listens", func(t *testing.T) string {
			s := httptest.NewServer(http.NotFoundHandler())
			s.Close()
			return s.URL
		}},
		{"an unknown host", func(*testing.T) string { return "http://nobody.invalid" }},
		{"it hangs", text("")},
		{"it hangs up", text("\r\n")},
		{"not HTTP", text("allow\r\n\r\n")},
		{"TLS to a server without", func(t *testing.T) string { return strings.Replace(good.o.User, "http://", "https://", 1) }},
		{"a body that is cut", text("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nallow")},
		{"a header without end", text("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\nallow")},
		{"a body without end", text("HTTP/1.1 200 OK\r\n\r\nallow " + strings.Repeat("x ", httpclient.DefaultMaxBody))},
		{"a body that stops", handler(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("allow"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})},
		{"an empty body", text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")},
		{"a redirect to where it is allowed", handler(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		})},
		{"not found", handler(http.NotFound)},
		{"an error that says allow", handler(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "allow", http.StatusInternalServerError)
		})},
		{"compressed", handler(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte("\x1f\x8b\x08\x00allow"))
		})},
		{"a page", handler(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<p>allow</p>")) })},
		{"it panics", handler(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := at(tc.service(t))
			o.Timeout = 200 * time.Millisecond
			bad := open(t, o)
			if reply, err := bad.Authenticate(t.Context(), plain("alice", "pw", "house")); err == nil || errors.Is(err, zap.ErrPass) {
				t.Errorf("user: %+v, %v, want an error other than a pass", reply, err)
			}
			given := &zap.Reply{Status: zap.OK, UserID: "alice"}
			if err := bad.Authorize(t.Context(), plain("alice", "pw", "house"), given); err == nil || errors.Is(err, zap.ErrDenied) || len(given.Grants) > 0 {
				t.Errorf("vhost: %v, want an error other than a refusal", err)
			}
			access, err := bad.login("alice", nil, "").On(t.Context(), "house", "devices")
			if err == nil || access.Read || access.Write {
				t.Errorf("resource: %+v, %v, want an error", access, err)
			}
			e := &exchange{login: bad.login("alice", nil, ""), vhost: "house"}
			if err := e.login.allows(t.Context(), kindTopic, "house", make([][]byte, 5)); err == nil || errors.Is(err, zap.ErrDenied) {
				t.Errorf("topic: %v, want an error other than a refusal", err)
			}
			if reply, err := good.Authenticate(t.Context(), plain("alice", "pw", "house")); err != nil || reply.Status != zap.OK {
				t.Errorf("the good service: %+v, %v", reply, err)
			}
		})
	}
	if n := len(elsewhere.questions()); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// TestChain: after a denial the chain continues, an error ends it with 300.
func TestChain(t *testing.T) {
	for _, tc := range []struct {
		first string
		want  zap.Status
	}{{"allow", zap.OK}, {"deny", zap.OK}, {"perhaps", zap.Temporary}} {
		o := serve(t, always(tc.first)).options()
		o.Vhost = ""
		chain, err := zap.NewChain(zap.ChainOptions{Entries: []zap.Entry{
			{Name: "first", Handler: open(t, o)},
			{Name: "second", Handler: open(t, serve(t, always("allow")).options())},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if reply := zap.Decide(t.Context(), chain, plain("alice", "pw", "house")); reply.Status != tc.want {
			t.Errorf("%s: %d, want %d", tc.first, reply.Status, tc.want)
		}
		chain.Close()
	}
}

// TestReuse: successive requests use one connection, and one that the service has closed
// meanwhile does not cause an error.
func TestReuse(t *testing.T) {
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("allow")) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c := open(t, Options{User: s.URL})
	for range 20 {
		if _, err := c.Authenticate(t.Context(), plain("alice", "pw", "house")); err != nil {
			t.Fatal(err)
		}
	}
	s.CloseClientConnections()
	if _, err := c.Authenticate(t.Context(), plain("alice", "pw", "house")); err != nil {
		t.Errorf("after the service has closed the connection: %v", err)
	}
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestStorm: hanging logins, more than there are connections, do not delay requests about
// rights.
func TestStorm(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	arrived := make(chan struct{}, 2)
	s := serve(t, func(path string, _ url.Values) string {
		if path == "/auth/user" {
			select {
			case arrived <- struct{}{}:
			case <-ctx.Done(): // a login that was sent just before the cancel
			}
			<-ctx.Done()
		}
		return "allow"
	})
	o := s.options()
	o.Connections = 2
	c := open(t, o)
	done := make(chan struct{})
	for range 50 {
		go func() {
			defer func() { done <- struct{}{} }()
			if _, err := c.Authenticate(ctx, plain("alice", "pw", "house")); err == nil {
				t.Error("a login succeeded without a response")
			}
		}()
	}
	<-arrived
	<-arrived
	l := c.login("bob", nil, "")
	access, err := l.On(t.Context(), "house", "devices")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := access.Topics.Send(t.Context(), []byte("topic")); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for range 50 {
		<-done
	}
}

// TestClose: grants of a closed client permit nothing.
func TestClose(t *testing.T) {
	c := open(t, serve(t, always("allow")).options())
	devices := rightsOn(t, c, "devices").Topics
	c.Close()
	if err := devices.Send(t.Context(), []byte("x")); !errors.Is(err, httpclient.ErrClosed) {
		t.Errorf("got %v, want %v", err, httpclient.ErrClosed)
	}
	if _, err := c.Authenticate(t.Context(), plain("alice", "pw", "house")); !errors.Is(err, httpclient.ErrClosed) {
		t.Errorf("got %v, want %v", err, httpclient.ErrClosed)
	}
}

// TestTLS: the service is verified with the given authorities and gets our certificate.
func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("allow")) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for _, tc := range []struct {
		name   string
		config *tls.Config
		good   bool
	}{
		{"own authority and certificate", &tls.Config{RootCAs: roots, Certificates: s.TLS.Certificates}, true},
		{"no certificate", &tls.Config{RootCAs: roots}, false},
		{"the system's authorities", &tls.Config{Certificates: s.TLS.Certificates}, false},
		{"another name", &tls.Config{RootCAs: roots, Certificates: s.TLS.Certificates, ServerName: "other.invalid"}, false},
		{"no configuration", nil, false},
	} {
		c := open(t, Options{User: s.URL, TLS: tc.config})
		if _, err := c.Authenticate(t.Context(), plain("alice", "pw", "house")); (err == nil) != tc.good || errors.Is(err, zap.ErrPass) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
