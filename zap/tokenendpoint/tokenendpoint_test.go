package tokenendpoint

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/internal/httpclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint accepts tokens of the form "user.user.N".
func endpoint(t testing.TB) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		user, rest, _ := strings.Cut(r.Header.Get("token"), ".")
		if r.Method != http.MethodGet || !strings.HasPrefix(rest, user+".") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"userID": %q}`, user)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/validate", asked
}

func open(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func bearer(token string) *zap.Request {
	return &zap.Request{Domain: "chat", Mechanism: zap.BEARER, Credentials: [][]byte{[]byte(token)}}
}

func plain(user, password string) *zap.Request {
	return &zap.Request{Domain: "chat", Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte(user), []byte(password)}}
}

func TestAuthenticate(t *testing.T) {
	url, asked := endpoint(t)
	c := open(t, Options{URL: url})
	for _, tc := range []struct {
		name  string
		req   *zap.Request
		user  string // empty: a pass
		asked int64
	}{
		{"a good token", bearer("alice.alice.1"), "alice", 1},
		{"a token that nobody knows", bearer("alice.bob.1"), "", 1},
		{"as a password without a user", plain("", "alice.alice.1"), "alice", 1},
		{"as the password of its user", plain("alice", "alice.alice.1"), "alice", 1},
		{"as the password of another", plain("bob", "alice.alice.1"), "", 1},
		{"no token", bearer(""), "", 0},
		{"an ordinary password", plain("alice", "hunter2"), "", 0},
		{"two parts", bearer("alice.alice"), "", 0},
		{"something before it", bearer(" alice.alice.1"), "", 0},
		{"something after it", bearer("alice.alice.1\n"), "", 0},
		{"another header", bearer("alice.alice.1\r\nHost: evil"), "", 0},
		{"the longest", bearer("alice.alice." + strings.Repeat("x", maxToken-12)), "alice", 1},
		{"longer", bearer("alice.alice." + strings.Repeat("x", maxToken-11)), "", 0},
		{"NULL", &zap.Request{Mechanism: zap.NULL}, "", 0},
		{"CURVE", &zap.Request{Mechanism: zap.CURVE, Credentials: [][]byte{make([]byte, 32)}}, "", 0},
		{"a malformed BEARER", &zap.Request{Mechanism: zap.BEARER}, "", 0},
	} {
		before := asked.Load()
		reply, err := c.Authenticate(t.Context(), tc.req)
		switch {
		case tc.user == "" && !errors.Is(err, zap.ErrPass):
			t.Errorf("%s: %+v, %v, want a pass", tc.name, reply, err)
		case tc.user != "" && (err != nil || reply.Status != zap.OK || reply.UserID != tc.user):
			t.Errorf("%s: %+v, %v, want %s", tc.name, reply, err, tc.user)
		}
		if n := asked.Load() - before; n != tc.asked {
			t.Errorf("%s: %d requests, want %d", tc.name, n, tc.asked)
		}
	}
}

// TestForm: the expression must match the whole token, also if it has alternatives.
func TestForm(t *testing.T) {
	url, asked := endpoint(t)
	c := open(t, Options{URL: url, Form: `a+\.a+\..*|(?i:b\.B\.)x`})
	for token, want := range map[string]int64{
		"a.a.1": 1, "xa.a.1": 0, "b.b.x": 1, "b.b.xx": 0, "xb.b.x": 0, "a.a.\x00": 0, "a.a.é": 0,
	} {
		before := asked.Load()
		_, _ = c.Authenticate(t.Context(), bearer(token))
		if n := asked.Load() - before; n != want {
			t.Errorf("%q: %d requests, want %d", token, n, want)
		}
	}
}

func TestParseUser(t *testing.T) {
	for body, want := range map[string]string{
		`{"userID":"alice"}`: "alice",
		" {\"name\": {\"userID\": 1}, \"userID\": \"älice\"}\n": "älice",
		`{"userID":"` + strings.Repeat("x", MaxUser) + `"}`:     strings.Repeat("x", MaxUser),
	} {
		if got, err := parseUser([]byte(body)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", body, got, err, want)
		}
	}
	for _, body := range []string{
		``, `null`, `"alice"`, `["userID","alice"]`, `alice`, `{}`, `{"userID":""}`, `{"userID":null}`,
		`{"userID":7}`, `{"userID":["alice"]}`, `{"userID":{"a":1}}`, `{"userid":"alice"}`, `{"UserID":"alice"}`,
		`{"user":{"userID":"alice"}}`, `{"userID":"alice","userID":"bob"}`, `{"userID":"alice"`, `{"userID":"alice"}}`,
		`{"userID":"alice"}{"userID":"bob"}`, `{"userID":"ali\u0000ce"}`, `{"userID":"ali\nce"}`, "{\"userID\":\"\xff\"}",
		`{"userID":"` + strings.Repeat("x", MaxUser+1) + `"}`, "\ufeff{\"userID\":\"alice\"}", `{"userID":"alice",}`,
	} {
		if got, err := parseUser([]byte(body)); err == nil {
			t.Errorf("%s: %q, want an error", body, got)
		}
	}
}

func FuzzParseUser(f *testing.F) {
	for _, s := range []string{`{"userID":"alice"}`, `{"a":[1,{"b":2}],"userID":"x"}`, `{}`, `null`, `{"userID":"a","userID":"b"}`, `{"userID":"\u0000"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		user, err := parseUser(body)
		if err == nil && (user == "" || len(user) > MaxUser || strings.ContainsRune(user, 0)) {
			t.Fatalf("%q gives %q", body, user)
		}
	})
}

// raw responds to a request with text, or hangs if it is empty.
func raw(t *testing.T, text string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended, hold := make(chan struct{}), make(chan struct{})
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

// TestDefects: an endpoint with one defect neither accepts nor refuses anybody, and a good one
// is not affected.
func TestDefects(t *testing.T) {
	url, asked := endpoint(t)
	good := open(t, Options{URL: url})
	ok := "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
	says := func(body string) string { return fmt.Sprintf(ok, len(body), body) }
	status := func(code string) string {
		return "HTTP/1.1 " + code + "\r\nLocation: " + url + "\r\nContent-Length: 18\r\n\r\n" + `{"userID":"alice"}`
	}
	for name, text := range map[string]string{
		"hangs":            "",
		"hangs up":         "\r\n",
		"not HTTP":         `{"userID":"alice"}`,
		"no body":          says(""),
		"no JSON":          says("alice"),
		"no user":          says("{}"),
		"an empty user":    says(`{"userID":""}`),
		"two users":        says(`{"userID":"alice","userID":"bob"}`),
		"a user too long":  says(`{"userID":"` + strings.Repeat("x", MaxUser+1) + `"}`),
		"a body too long":  says(`{"userID":"alice"}` + strings.Repeat(" ", httpclient.DefaultMaxBody)),
		"a body cut short": fmt.Sprintf(ok, 100, `{"userID":"alice"}`),
		"201":              status("201 Created"),
		"204":              "HTTP/1.1 204 No Content\r\n\r\n",
		"a redirect":       status("307 Temporary Redirect"),
		"401":              status("401 Unauthorized"),
		"403":              status("403 Forbidden"),
		"404":              status("404 Not Found"),
		"429":              status("429 Too Many Requests"),
		"500":              status("500 Internal Server Error"),
		"503":              status("503 Service Unavailable"),
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, Options{URL: raw(t, text), Timeout: 200 * time.Millisecond})
			if reply, err := c.Authenticate(t.Context(), bearer("alice.alice.1")); err == nil || errors.Is(err, zap.ErrPass) {
				t.Errorf("%+v, %v, want an error other than a pass", reply, err)
			} else if strings.Contains(err.Error(), "alice.alice.1") {
				t.Errorf("%v contains the token", err)
			}
			before := asked.Load()
			if reply, err := good.Authenticate(t.Context(), bearer("alice.alice.1")); err != nil || reply.Status != zap.OK {
				t.Errorf("the good endpoint: %+v, %v", reply, err)
			}
			if n := asked.Load() - before; n != 1 {
				t.Errorf("the good endpoint got %d requests", n)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":          {},
		"no URL":           {URL: "validate"},
		"another scheme":   {URL: "ftp://localhost/"},
		"not RE2":          {URL: "http://localhost/", Form: "a(?=b)"},
		"half parentheses": {URL: "http://localhost/", Form: "a)|(b"},
		"negative timeout": {URL: "http://localhost/", Timeout: -1},
	} {
		if c, err := New(o); err == nil {
			t.Errorf("%s is accepted", name)
			c.Close()
		}
	}
}

// TestSingleToken: a new token revokes the logins with older ones, which are then refused; the
// same token may be used several times.
func TestSingleToken(t *testing.T) {
	url, _ := endpoint(t)
	c := open(t, Options{URL: url, SingleToken: true})
	told := make(chan struct{}, 100)
	defer c.OnChange(func() { told <- struct{}{} })()
	login := func(token string) *zap.Reply {
		t.Helper()
		reply, err := c.Authenticate(t.Context(), bearer(token))
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	first, again, other := login("alice.alice.1"), login("alice.alice.1"), login("bob.bob.1")
	for _, r := range []*zap.Reply{first, again, other} {
		if r.Status != zap.OK || c.Revoked(r) {
			t.Errorf("%+v, revoked: %v", r, c.Revoked(r))
		}
	}
	second := login("alice.alice.2")
	<-told
	for r, want := range map[*zap.Reply]bool{first: true, again: true, other: false, second: false} {
		if c.Revoked(r) != want {
			t.Errorf("%+v: revoked %v, want %v", r, !want, want)
		}
	}
	if r := login("alice.alice.1"); r.Status != zap.Refused {
		t.Errorf("a replaced token: %+v", r)
	}
	if c.Revoked(second) {
		t.Error("a replaced token has replaced the newer one")
	}
	if r := open(t, Options{URL: url}); r.Revoked(first) {
		t.Error("revoked although all tokens are valid")
	}
}

// TestLatestIsBounded: one user and one token beyond the limits.
func TestLatestIsBounded(t *testing.T) {
	const users = 10
	l := newLatest(users, func() {})
	defer l.close()
	first := basis{"first", hashOf([]byte("1"))}
	l.present(first)
	for i := range users - 1 {
		l.present(basis{fmt.Sprint(i), hash{}})
	}
	newer := basis{"first", hashOf([]byte("2"))}
	if l.present(newer); !l.replaced(first) {
		t.Error("dropped at the limit")
	}
	for i := range users {
		l.present(basis{fmt.Sprint("more ", i), hash{}})
	}
	if len(l.byUser) != users || l.order.Len() != users {
		t.Errorf("%d users, %d in order", len(l.byUser), l.order.Len())
	}
	if !l.present(first) {
		t.Error("kept beyond the limit")
	}

	for i := range maxReplaced + 2 {
		l.present(basis{"busy", hashOf(fmt.Append(nil, i))})
	}
	if n := len(l.byUser["busy"].Value.(*tokens).replaced); n != maxReplaced {
		t.Errorf("%d tokens", n)
	}
	if l.present(basis{"busy", hashOf(fmt.Append(nil, 1))}) {
		t.Error("dropped at the limit")
	}
	if !l.present(basis{"busy", hashOf(fmt.Append(nil, 0))}) {
		t.Error("kept beyond the limit")
	}
}

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func BenchmarkLogin(b *testing.B) {
	m, err := OpenIdentities(filepath.Join(b.TempDir(), "identities.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	url, _ := endpoint(b)
	c := open(b, Options{URL: url, Identities: m, SingleToken: true})
	req := bearer("alice.alice.1")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Authenticate(b.Context(), req); err != nil {
				b.Fatal(err)
			}
		}
	})
}
