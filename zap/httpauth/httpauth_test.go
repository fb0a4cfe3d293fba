package httpauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked is a question as a service gets it.
type asked struct {
	Method, Path, ContentType, Body string
}

// service answers as decide says, and notes what it was asked.
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

// serve is serveRaw for services that look at the form only.
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

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		want   answer
		fault  bool
	}{
		{200, "allow", answer{allowed: true}, false},
		{201, "allow", answer{allowed: true}, false},
		{200, "ALLOW\n", answer{allowed: true}, false},
		{200, " allow  Administrator management ", answer{allowed: true, tags: []string{"administrator", "management"}}, false},
		{200, `"allow"`, answer{allowed: true}, false},
		{200, "\"allow management\"\n", answer{allowed: true, tags: []string{"management"}}, false},
		{200, `"\u0061llow"`, answer{allowed: true}, false},
		{200, "deny", answer{}, false},
		{200, "Deny", answer{}, false},
		{200, "deny not on Sundays", answer{reason: "not on Sundays"}, false},
		{200, `"deny not \"on\" Sundays"`, answer{reason: `not "on" Sundays`}, false},

		{200, "", answer{}, true},
		{200, `""`, answer{}, true},
		{200, "allowed", answer{}, true},
		{200, "allowmanagement", answer{}, true},
		{200, "denied", answer{}, true},
		{200, "yes", answer{}, true},
		{200, "true", answer{}, true},
		{200, `"allow`, answer{}, true},
		{200, `"allow" "deny"`, answer{}, true},
		{200, `{"result":"allow"}`, answer{}, true},
		{200, `["allow"]`, answer{}, true},
		{200, "<html>allow</html>", answer{}, true},
		{200, "allow\ndeny", answer{}, true},
		{200, "allow\x00", answer{}, true},
		{200, "allow \xff", answer{}, true},
		{200, "\ufeffallow", answer{}, true},
		{202, "allow", answer{}, true},
		{204, "", answer{}, true},
		{302, "allow", answer{}, true},
		{400, "deny", answer{}, true},
		{401, "deny", answer{}, true},
		{403, "allow", answer{}, true},
		{404, "allow", answer{}, true},
		{500, "allow", answer{}, true},
	} {
		got, err := parse(tc.status, []byte(tc.body))
		if (err != nil) != tc.fault {
			t.Errorf("%d %q: error %v, want one: %v", tc.status, tc.body, err, tc.fault)
		} else if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(answer{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%d %q: %s", tc.status, tc.body, diff)
		}
	}
	if _, err := parseBool(200, []byte("allow management")); err == nil {
		t.Error("tags where none belong were taken")
	}
}

// FuzzParse: whatever is not the one word allows nothing.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"allow", "allow a b", "deny", "deny why", `"allow"`, `"deny x"`, "", "allowx", "{}", "\"", "allow\n\n"} {
		f.Add(200, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := parse(status, body)
		if err != nil && (a.allowed || a.reason != "") {
			t.Fatal("an answer with an error")
		}
		if !a.allowed {
			return
		}
		text := strings.ToLower(string(body))
		if !strings.Contains(text, "allow") && !strings.Contains(text, `\u`) || status != 200 && status != 201 {
			t.Fatalf("%d %q allows", status, body)
		}
		for _, tag := range a.tags {
			if tag == "" || strings.ContainsAny(tag, " \n\x00") {
				t.Fatalf("tag %q", tag)
			}
		}
	})
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
	if err != nil || reply.Status != zap.OK || reply.UserID != "alice" || reply.Metadata.Get("Tags") != "administrator monitoring" || len(reply.Rights) != 1 {
		t.Errorf("alice: %+v, %v", reply, err)
	}
	if reply, err = c.Authenticate(t.Context(), plain("bob", "pw", "house")); err != nil || len(reply.Metadata) != 0 {
		t.Errorf("bob: %+v, %v", reply, err)
	}
	if _, err = c.Authenticate(t.Context(), plain("alice", "wrong", "house")); !errors.Is(err, zap.ErrPass) {
		t.Errorf("a plain refusal: %v, want it to go on", err)
	}
	if reply, err = c.Authenticate(t.Context(), plain("alice", "pw", "closed")); err != nil || reply.Status != zap.Refused || len(reply.Rights) > 0 {
		t.Errorf("a vhost that is denied: %+v, %v, want 400", reply, err)
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
			t.Errorf("%s: %v, want it to go on", name, err)
		}
	}
	if n := len(s.questions()) - before; n > 0 {
		t.Errorf("%d questions about what is not for the service", n)
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
	if err := c.Authorize(t.Context(), plain("carol", "secret", "house"), reply); err != nil || len(reply.Rights) != 1 {
		t.Errorf("%v, rights %v", err, reply.Rights)
	}
	want := []asked{{"POST", "/auth/vhost", "application/x-www-form-urlencoded", "username=carol&vhost=house&ip=127.0.0.1&tags=a+b"}}
	if diff := cmp.Diff(want, s.questions()); diff != "" {
		t.Errorf("the password is nobody's but the authenticator's: %s", diff)
	}
	if err := other.Authorize(t.Context(), plain("carol", "secret", "house"), reply); err != nil || len(reply.Rights) != 2 {
		t.Errorf("a second service: %v, rights %v", err, reply.Rights)
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
	if err := c.Authorize(t.Context(), plain("carol", "pw", "house"), own); err != nil || len(own.Rights) != 1 || len(s.questions()) != before {
		t.Errorf("authn and authz by one service: %v, %d rights, %d questions more", err, len(own.Rights), len(s.questions())-before)
	}
}

// rightsOn logs alice in and opens a route for her.
func rightsOn(t testing.TB, c *Client, route string) zap.Access {
	t.Helper()
	reply, err := c.Authenticate(t.Context(), plain("alice", "pw", "house"))
	if err != nil || reply.Status != zap.OK {
		t.Fatalf("%+v, %v", reply, err)
	}
	access, err := reply.Rights[0].On(t.Context(), "house", route)
	if err != nil {
		t.Fatal(err)
	}
	return access
}

func TestRights(t *testing.T) {
	s := serve(t, func(path string, form url.Values) string {
		switch {
		case path == "/auth/vhost" && form.Get("vhost") == "cellar",
			path == "/auth/resource" && form.Get("name") == "cellar",
			path == "/auth/resource" && form.Get("permission") == "write" && form.Get("name") == "view",
			path == "/auth/topic" && !strings.HasPrefix(form.Get("routing_key"), "alice/"):
			return "deny"
		}
		return "allow"
	})
	c := open(t, s.options())
	ctx := t.Context()
	if a := rightsOn(t, c, "cellar"); a.Read || a.Write || a.Topics != nil {
		t.Errorf("a route that may not be read: %+v", a)
	}
	devices := rightsOn(t, c, "devices")
	if !devices.Read || !devices.Write {
		t.Errorf("devices: %+v", devices)
	}
	view := rightsOn(t, c, "view")
	for _, tc := range []struct {
		name    string
		err     error
		allowed bool
	}{
		{"receive one's own", devices.Topics.Receive(ctx, []byte("alice/temp")), true},
		{"receive all", devices.Topics.Receive(ctx, nil), false},
		{"receive another's", devices.Topics.Receive(ctx, []byte("bob/")), false},
		{"send one's own", devices.Topics.Send(ctx, []byte("alice/set")), true},
		{"send to another's", devices.Topics.Send(ctx, []byte("bob/set")), false},
		{"send where only reading is allowed", view.Topics.Send(ctx, []byte("alice/set")), false},
		{"a topic of the longest", devices.Topics.Send(ctx, []byte("alice/"+strings.Repeat("x", MaxTopic-6))), true},
		{"a longer one", devices.Topics.Send(ctx, []byte("alice/"+strings.Repeat("x", MaxTopic-5))), false},
	} {
		if tc.allowed && tc.err != nil || !tc.allowed && !errors.Is(tc.err, zap.ErrDenied) {
			t.Errorf("%s: %v, want allowed: %v", tc.name, tc.err, tc.allowed)
		}
	}
	reply, err := c.Authenticate(ctx, plain("alice", "pw", "house"))
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]bool{"house": true, "cellar": false} {
		if in, err := reply.Rights[0].In(ctx, domain); err != nil || in != want {
			t.Errorf("in %s: %v, %v", domain, in, err)
		}
	}
}

// TestUnasked: a kind of question without an address is not asked.
func TestUnasked(t *testing.T) {
	s := serve(t, always("allow"))
	c := open(t, Options{User: s.URL + "/auth/user"})
	reply, err := c.Authenticate(t.Context(), plain("alice", "pw", "house"))
	if err != nil || len(reply.Rights) != 0 {
		t.Errorf("%+v, %v: want no rights", reply, err)
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
		t.Errorf("without an address for users: %v", err)
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

// TestCache: one question for as long as the answer counts, however many ask at once; an
// error is not remembered.
func TestCache(t *testing.T) {
	var topics atomic.Int64
	answers := make(chan string)
	s := serve(t, func(path string, _ url.Values) string {
		if path == "/auth/topic" {
			topics.Add(1)
			return <-answers
		}
		return "allow"
	})
	o := s.options()
	o.Cache = time.Hour
	devices := rightsOn(t, open(t, o), "devices").Topics

	send := func(topic string) chan error {
		done := make(chan error, 1)
		go func() { done <- devices.Send(t.Context(), []byte(topic)) }()
		return done
	}
	first := send("a")
	answers <- "perhaps"
	if err := <-first; err == nil || errors.Is(err, zap.ErrDenied) {
		t.Errorf("got %v, want an error that is no refusal", err)
	}
	var crowd []chan error
	for range 20 {
		crowd = append(crowd, send("a"))
	}
	answers <- "allow"
	for _, done := range crowd {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	refused := send("b")
	answers <- "deny"
	if err := <-refused; !errors.Is(err, zap.ErrDenied) {
		t.Errorf("got %v, want a refusal", err)
	}
	for topic, allowed := range map[string]bool{"a": true, "b": false} {
		if err := devices.Send(t.Context(), []byte(topic)); (err == nil) != allowed {
			t.Errorf("%s: %v", topic, err)
		}
	}
	if n := topics.Load(); n != 3 {
		t.Errorf("%d questions, want 3", n)
	}
}

// TestCacheIsBounded: of more topics than are kept the latest are remembered.
func TestCacheIsBounded(t *testing.T) {
	var topics atomic.Int64
	s := serve(t, func(path string, _ url.Values) string {
		if path == "/auth/topic" {
			topics.Add(1)
		}
		return "allow"
	})
	o := s.options()
	o.Resource, o.Cache, o.CacheEntries = "", time.Hour, 10
	devices := rightsOn(t, open(t, o), "devices").Topics
	send := func(n int) (questions int64) {
		before := topics.Load()
		if err := devices.Send(t.Context(), fmt.Append(nil, n)); err != nil {
			t.Fatal(err)
		}
		return topics.Load() - before
	}
	for n := range 11 {
		if send(n) != 1 {
			t.Errorf("topic %d was not asked about", n)
		}
	}
	for n := 10; n > 0; n-- {
		if send(n) != 0 {
			t.Errorf("topic %d is not remembered", n)
		}
	}
	if send(0) != 1 {
		t.Error("the topic beyond the limit is remembered")
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
			t.Errorf("%s was taken", name)
			c.Close()
		}
	}
}

// TestDecisions: whatever is asked, in whatever order, with a cache and without, what is
// allowed is exactly what the service allows.
func TestDecisions(t *testing.T) {
	allows := func(user, vhost, name, permission, key string) bool {
		sum := sha256.Sum256([]byte(strings.Join([]string{user, vhost, name, permission, key}, "\x00")))
		return sum[0]%3 > 0
	}
	s := serve(t, func(path string, f url.Values) string {
		if path == "/auth/user" || allows(f.Get("username"), f.Get("vhost"), f.Get("name"), f.Get("permission"), f.Get("routing_key")) {
			return "allow"
		}
		return "deny"
	})
	o := s.options()
	o.Vhost = ""
	bare := open(t, o)
	o.Cache, o.CacheEntries = time.Hour, 20
	cached := open(t, o)
	random := rand.New(rand.NewPCG(1, 2))
	// Fields that run into one another if they are only joined.
	words := []string{"a", "aa", "a a", "a&b=c", "", "é\xff", "a%00"}
	word := func() string { return words[random.IntN(len(words))] }
	for range 2000 {
		c := []*Client{bare, cached}[random.IntN(2)]
		user, vhost, name, key := "u"+word(), word(), word(), word()
		access, err := c.login(user, nil, "").On(t.Context(), vhost, name)
		if err != nil {
			t.Fatal(err)
		}
		attached := allows(user, vhost, name, "read", "")
		if access.Read != attached {
			t.Fatalf("%q attaches to %q in %q: %v", user, name, vhost, access.Read)
		}
		if !attached {
			continue
		}
		for permission, ask := range map[string]func(context.Context, []byte) error{"read": access.Topics.Receive, "write": access.Topics.Send} {
			want := allows(user, vhost, name, permission, "") && allows(user, vhost, name, permission, key)
			if err := ask(t.Context(), []byte(key)); (err == nil) != want || err != nil && !errors.Is(err, zap.ErrDenied) {
				t.Fatalf("%q, %s of %q on %q in %q: %v, want allowed: %v", user, permission, key, name, vhost, err, want)
			}
		}
	}
}
