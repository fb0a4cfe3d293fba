package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// httpService speaks rabbitmq_auth_backend_http: the password is the name in capitals, and
// what is asked beyond that is decided by allows.
type httpService struct {
	*httptest.Server
	allows  func(path string, f func(string) string) bool
	topics  atomic.Int64
	stuck   atomic.Pointer[chan struct{}] // questions about eve's topics wait for it
	broken  atomic.Bool
	holding atomic.Pointer[chan struct{}] // logins wait for it
}

func newHTTPService(t *testing.T, allows func(path string, f func(string) string) bool) *httpService {
	t.Helper()
	s := &httpService{allows: allows}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := r.PostFormValue
		switch {
		case s.broken.Load():
			http.Error(w, "allow", http.StatusInternalServerError)
			return
		case r.URL.Path == "/topic":
			s.topics.Add(1)
			if stuck := s.stuck.Load(); stuck != nil && f("username") == "eve" {
				<-*stuck
			}
		case r.URL.Path == "/user":
			if hold := s.holding.Load(); hold != nil {
				<-*hold
			}
			if f("password") != strings.ToUpper(f("username")) {
				fmt.Fprint(w, "deny")
				return
			}
		}
		if s.allows(r.URL.Path, f) {
			fmt.Fprint(w, "allow")
		} else {
			fmt.Fprint(w, "deny because")
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// config is [auth.app] of the service.
func (s *httpService) config() string {
	return fmt.Sprintf(`
[auth.app]
type = "http"
user_path = "%[1]s/user"
vhost_path = "%[1]s/vhost"
resource_path = "%[1]s/resource"
topic_path = "%[1]s/topic"
cache = "1h"
timeout = "1m"
`, s.URL)
}

// byCapitals is how the users of an httpService log in.
func byCapitals(user string, as zmtp.SocketType) zws.DialOptions {
	return zws.DialOptions{SocketType: as, Security: zmtp.Plain{User: user, Password: strings.ToUpper(user)}, HandshakeTimeout: time.Minute}
}

// TestHTTPService: a service that was written for RabbitMQ decides on logins, routes,
// subscriptions and messages.
func TestHTTPService(t *testing.T) {
	s := newHTTPService(t, func(path string, f func(string) string) bool {
		switch path {
		case "/vhost":
			return f("vhost") == "homes"
		case "/resource":
			return f("name") != "closed" && !(f("name") == "view" && f("permission") == "write")
		case "/topic":
			return strings.HasPrefix(f("routing_key"), f("username")+"/")
		}
		return true
	})
	router := peering(t, zmtp.ROUTER)
	routes := ""
	for _, path := range []string{"/dealer", "/view", "/closed"} {
		routes += routeTo(path, "DEALER", router.endpoint)
	}
	url, _ := start(t, `
[zap]
domain = "homes"
timeout = "1m"
chain = [ { authn = "app" }, { authn = "users", authz = ["app"] } ]
[auth.users]
type = "htpasswd"
file = "users.htpasswd"
`+s.config()+routes+
		routeTo("/sub", "SUB", silent(t, zmtp.PUB))+
		routeTo("/ruled", "DEALER", router.endpoint, `allow = [ { user = "*", send = ["alice/a"] } ]`)+
		routeTo("/elsewhere", "DEALER", router.endpoint, `domain = "office"`))

	t.Run("refused", func(t *testing.T) {
		for _, tc := range []struct {
			path, user, password string
			code                 zws.Code
		}{
			{"/dealer", "alice", "wrong", 4400},
			{"/closed", "alice", "ALICE", 4403},
			{"/elsewhere", "alice", "ALICE", 4400},
		} {
			o := byCapitals(tc.user, zmtp.DEALER)
			o.Security = zmtp.Plain{User: tc.user, Password: tc.password}
			if got := refusal(t, url+tc.path, o); got.Code != tc.code {
				t.Errorf("%s as %s: %v, want %d", tc.path, tc.user, got, tc.code)
			}
		}
	})
	for _, tc := range []struct {
		name, path string
		topic      string
		code       zws.Code // 0: it comes back
	}{
		{"one's own topic", "/dealer", "alice/a", 0},
		{"another's topic", "/dealer", "bob/a", 4403},
		{"a route to look at", "/view", "alice/a", 4403},
		{"both allow", "/ruled", "alice/a", 0},
		{"the service allows, the route does not", "/ruled", "alice/b", 4403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := connect(t, url+tc.path, byCapitals("alice", zmtp.DEALER))
			if err := c.Send(message(tc.topic, "x")); err != nil {
				t.Fatal(err)
			}
			if tc.code != 0 {
				if got := ended(t, c).Code; got != tc.code {
					t.Errorf("got %d, want %d", got, tc.code)
				}
			} else if m, err := c.Recv(); err != nil || string(m[0]) != tc.topic {
				t.Errorf("got %q, %v", m, err)
			}
		})
	}
	t.Run("subscriptions", func(t *testing.T) {
		c := connect(t, url+"/sub", byCapitals("alice", zmtp.SUB))
		if err := errors.Join(c.Subscribe([]byte("alice/")), c.Subscribe([]byte(""))); err != nil {
			t.Fatal(err)
		}
		if got := ended(t, c).Code; got != 4403 {
			t.Errorf("got %d, want 4403", got)
		}
	})
	t.Run("as authz of another's login", func(t *testing.T) {
		o := byCapitals("bob", zmtp.DEALER)
		o.Security = zmtp.Plain{User: "bob", Password: "bob's secret"}
		c := connect(t, url+"/dealer", o)
		if err := errors.Join(c.Send(message("bob/a")), c.Send(message("alice/a"))); err != nil {
			t.Fatal(err)
		}
		if got := ended(t, c).Code; got != 4403 {
			t.Errorf("got %d, want 4403", got)
		}
	})
	t.Run("asked once", func(t *testing.T) {
		c := connect(t, url+"/dealer", byCapitals("carol", zmtp.DEALER))
		before := s.topics.Load()
		for range 100 {
			if err := c.Send(message("carol/a")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.topics.Load() - before; n != 1 {
			t.Errorf("%d questions about a topic that was sent to 100 times", n)
		}
	})
	t.Run("broken", func(t *testing.T) {
		c := connect(t, url+"/dealer", byCapitals("dave", zmtp.DEALER))
		s.broken.Store(true)
		defer s.broken.Store(false)
		if got := refusal(t, url+"/dealer", byCapitals("alice", zmtp.DEALER)); got.Code != 4300 || got.Status != 0 {
			t.Errorf("a login: %v, want 4300 without ERROR", got)
		}
		if err := c.Send(message("dave/new")); err != nil {
			t.Fatal(err)
		}
		if got := ended(t, c).Code; got != 4300 {
			t.Errorf("a message: %d, want 4300", got)
		}
	})
}

// TestLoginStorm: while more logins than there are connections to the service wait for it,
// and a message of another client does, who is in goes on, topics that nobody was asked
// about yet included.
func TestLoginStorm(t *testing.T) {
	s := newHTTPService(t, func(string, func(string) string) bool { return true })
	url, _ := start(t, `
[zap]
timeout = "1m"
chain = [ { authn = "app" } ]
`+s.config()+routeTo("/d", "DEALER", echoRouter(t)))
	in := connect(t, url+"/d", byCapitals("alice", zmtp.DEALER))

	eve := connect(t, url+"/d", byCapitals("eve", zmtp.DEALER))
	hold := make(chan struct{})
	s.stuck.Store(&hold)
	if err := eve.Send(message("topic")); err != nil {
		t.Fatal(err)
	}
	s.holding.Store(&hold)
	var storm sync.WaitGroup
	for i := range 200 {
		storm.Go(func() {
			c, err := zws.Dial(context.Background(), url+"/d", byCapitals(fmt.Sprint("user", i), zmtp.DEALER))
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	for i := range 200 {
		if err := in.Send(message(fmt.Sprint("topic ", i))); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	close(hold)
	storm.Wait()
	if _, err := eve.Recv(); err != nil {
		t.Error(err)
	}
}

// TestReloadHTTPService: a reload that leaves the service as it is asks nobody anew; one
// that replaces it ends the sessions that it has let in, which then come again.
func TestReloadHTTPService(t *testing.T) {
	all := func(string, func(string) string) bool { return true }
	first, second := newHTTPService(t, all), newHTTPService(t, all)
	router := peering(t, zmtp.ROUTER)
	config := func(s *httpService, drain string) string {
		return fmt.Sprintf("[server]\ndrain = %q\n[zap]\ntimeout = \"1m\"\nchain = [ { authn = \"app\" } ]\n", drain) +
			s.config() + routeTo("/d", "DEALER", router.endpoint)
	}
	var dir string
	url, b := startIn(t, func(d string) string { dir = d; return config(first, "1s") })
	c := connect(t, url+"/d", byCapitals("alice", zmtp.DEALER))
	send := func() {
		t.Helper()
		if err := c.Send(message("a")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	send()
	reload(t, b, dir, config(first, "2s"))
	first.broken.Store(true)
	send()
	broken := config(second, "2s") + fmt.Sprintf(`
[[route]]
path = "/bound"
socket = "SUB"
mechanism = "NULL"
insecure_null = true
bind = [%q]
bind_domain = "devices"
`, router.endpoint) // where another listens
	if err := b.Reload(read(t, dir, broken)); err == nil {
		t.Error("a reload that cannot be has been")
	}
	send()
	reload(t, b, dir, config(second, "2s"))
	if got := ended(t, c).Code; got != 4300 {
		t.Errorf("got %d, want 4300", got)
	}
	c = connect(t, url+"/d", byCapitals("alice", zmtp.DEALER))
	send()
}
