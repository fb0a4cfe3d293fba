package httpauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked is a request as the service gets it.
type asked struct {
	Method, Path, ContentType, Body string
}

// service responds as decide says and records the requests.
type service struct {
	*httptest.Server
	mu    sync.Mutex
	asked []asked
}

func serveRaw(t testing.TB, decide func(asked) string) *service {
	t.Helper()
	s := new(service)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		q := asked{r.Method, r.URL.Path, r.Header.Get("Content-Type"), string(body)}
		if r.Method == http.MethodGet {
			q.Body = r.URL.RawQuery
		}
		s.mu.Lock()
		s.asked = append(s.asked, q)
		s.mu.Unlock()
		fmt.Fprint(w, decide(q))
	}))
	t.Cleanup(s.Close)
	return s
}

// serve is serveRaw for services that use only the form.
func serve(t testing.TB, decide func(path string, form url.Values) string) *service {
	t.Helper()
	return serveRaw(t, func(q asked) string {
		form, _ := url.ParseQuery(q.Body)
		return decide(q.Path, form)
	})
}

func (s *service) questions() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *service) options() Options { return at(s.URL) }

func at(base string) Options {
	return Options{User: base + "/auth/user", Vhost: base + "/auth/vhost", Resource: base + "/auth/resource", Topic: base + "/auth/topic"}
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

func plain(user, password, domain string) *zap.Request {
	return &zap.Request{Domain: domain, Address: "127.0.0.1", Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte(user), []byte(password)}}
}

func always(answer string) func(string, url.Values) string {
	return func(string, url.Values) string { return answer }
}

func TestLogin(t *testing.T) {
	s := serve(t, func(path string, form url.Values) string {
		switch {
		case path == "/auth/user" && form.Get("password") != "pw":
			return "deny no such user"
		case path == "/auth/user" && form.Get("username") == "alice":
			return "allow Administrator monitoring"
		case path == "/auth/vhost" && form.Get("vhost") == "closed":
			return "deny"
		}
		return "allow"
	})
	c := open(t, s.options())
	reply, err := c.Authenticate(t.Context(), plain("alice", "pw", "house"))
	if err != nil || reply.Status != zap.OK || reply.UserID != "alice" || reply.Metadata.Get("Tags") != "administrator monitoring" || len(reply.Grants) != 1 {
		t.Errorf("alice: %+v, %v", reply, err)
	}
	if reply, err = c.Authenticate(t.Context(), plain("bob", "pw", "house")); err != nil || len(reply.Metadata) != 0 {
		t.Errorf("bob: %+v, %v", reply, err)
	}
	if _, err = c.Authenticate(t.Context(), plain("alice", "wrong", "house")); !errors.Is(err, zap.ErrPass) {
		t.Errorf("a denial: %v, want a pass", err)
	}
	if reply, err = c.Authenticate(t.Context(), plain("alice", "pw", "closed")); err != nil || reply.Status != zap.Refused || len(reply.Grants) > 0 {
		t.Errorf("a denied vhost: %+v, %v, want 400", reply, err)
	}

	before := len(s.questions())
	for name, req := range map[string]*zap.Request{
		"NULL":              {Domain: "house", Mechanism: zap.NULL},
		"BEARER":            {Domain: "house", Mechanism: zap.BEARER, Credentials: [][]byte{[]byte("token")}},
		"CURVE":             {Domain: "house", Mechanism: zap.CURVE, Credentials: [][]byte{make([]byte, 32)}},
		"no user name":      plain("", "pw", "house"),
		"a malformed PLAIN": {Domain: "house", Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte("alice")}},
	} {
		if _, err := c.Authenticate(t.Context(), req); !errors.Is(err, zap.ErrPass) {
			t.Errorf("%s: %v, want a pass", name, err)
		}
	}
	if n := len(s.questions()) - before; n > 0 {
		t.Errorf("%d requests about credentials that are not for the service", n)
	}
}

func TestAuthorize(t *testing.T) {
	s := serve(t, func(_ string, form url.Values) string {
		if form.Get("vhost") == "closed" {
			return "deny"
		}
		return "allow"
	})
	c := open(t, s.options())
	other := open(t, s.options())
	given := func(user string) *zap.Reply {
		return &zap.Reply{Status: zap.OK, UserID: user, Metadata: zap.Metadata{{Name: "Tags", Value: "a  b"}}}
	}
	reply := given("carol")
	if err := c.Authorize(t.Context(), plain("carol", "secret", "house"), reply); err != nil || len(reply.Grants) != 1 {
		t.Errorf("%v, rights %v", err, reply.Grants)
	}
	want := []asked{{"POST", "/auth/vhost", "application/x-www-form-urlencoded", "username=carol&vhost=house&ip=127.0.0.1&tags=a+b"}}
	if diff := cmp.Diff(want, s.questions()); diff != "" {
		t.Errorf("the requests of an authorizer: %s", diff)
	}
	if err := other.Authorize(t.Context(), plain("carol", "secret", "house"), reply); err != nil || len(reply.Grants) != 2 {
		t.Errorf("a second service: %v, rights %v", err, reply.Grants)
	}
	if err := c.Authorize(t.Context(), plain("carol", "secret", "closed"), given("carol")); !errors.Is(err, zap.ErrDenied) {
		t.Errorf("denied vhost: %v", err)
	}
	if err := c.Authorize(t.Context(), plain("", "", "house"), given("")); !errors.Is(err, zap.ErrDenied) {
		t.Errorf("nobody: %v", err)
	}

	own, err := c.Authenticate(t.Context(), plain("carol", "pw", "house"))
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.questions())
	if err := c.Authorize(t.Context(), plain("carol", "pw", "house"), own); err != nil || len(own.Grants) != 1 || len(s.questions()) != before {
		t.Errorf("authentication and authorization by one service: %v, %d grants, %d more requests", err, len(own.Grants), len(s.questions())-before)
	}
}

// TestUnasked: a kind of request without a URL is not sent.
func TestUnasked(t *testing.T) {
	s := serve(t, always("allow"))
	c := open(t, Options{User: s.URL + "/auth/user"})
	reply, err := c.Authenticate(t.Context(), plain("alice", "pw", "house"))
	if err != nil || len(reply.Grants) != 0 {
		t.Errorf("%+v, %v: want no grants", reply, err)
	}
	c = open(t, Options{User: s.URL + "/auth/user", Topic: s.URL + "/auth/topic"})
	if err := rightsOn(t, c, "devices").Topics.Send(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
	for _, q := range s.questions() {
		if q.Path != "/auth/user" && q.Path != "/auth/topic" {
			t.Errorf("asked %s", q.Path)
		}
	}
	c = open(t, Options{Vhost: s.URL + "/auth/vhost"})
	if _, err := c.Authenticate(t.Context(), plain("alice", "pw", "house")); !errors.Is(err, zap.ErrPass) {
		t.Errorf("without a URL for users: %v", err)
	}
}

func TestGet(t *testing.T) {
	s := serve(t, always("allow"))
	o := s.options()
	o.Method, o.User = "GET", s.URL+"/auth/user?key=a"
	if _, err := open(t, o).Authenticate(t.Context(), plain("al&ice", "p w?", "/")); err != nil {
		t.Fatal(err)
	}
	want := []asked{
		{"GET", "/auth/user", "", "key=a&username=al%26ice&password=p+w%3F&vhost=%2F"},
		{"GET", "/auth/vhost", "", "username=al%26ice&vhost=%2F&ip=127.0.0.1&tags="},
	}
	if diff := cmp.Diff(want, s.questions()); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsStayOut(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	o := at(dead.URL)
	o.Method, o.User = "GET", dead.URL+"/auth/user?key=sesame"
	_, err := open(t, o).Authenticate(context.Background(), plain("alice", "hunter2", "house"))
	if err == nil || errors.Is(err, zap.ErrPass) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "sesame") {
		t.Errorf("%v: want an error without a secret", err)
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":          {},
		"no URL":           {User: "auth/user"},
		"another scheme":   {User: "ftp://localhost/"},
		"a fragment":       {User: "http://localhost/#x"},
		"another method":   {User: "http://localhost/", Method: "PUT"},
		"negative timeout": {User: "http://localhost/", Timeout: -1},
		"negative cache":   {User: "http://localhost/", Cache: -1},
		"negative entries": {User: "http://localhost/", Cache: 1, CacheEntries: -1},
	} {
		if c, err := New(o); err == nil {
			t.Errorf("%s is accepted", name)
			c.Close()
		}
	}
}
