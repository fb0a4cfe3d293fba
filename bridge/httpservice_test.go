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

// httpService is a server of rabbitmq_auth_backend_http. The password of a user is the name in
// upper case; allows decides on everything else.
type httpService struct {
	*httptest.Server
	allows     func(path string, f func(string) string) bool
	topics     atomic.Int64
	holdTopics atomic.Pointer[chan struct{}] // requests about topics of eve wait for it
	broken     atomic.Bool
	holdLogins atomic.Pointer[chan struct{}] // logins wait for it
}

// newHTTPService starts a service.
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
			if hold := s.holdTopics.Load(); hold != nil && f("username") == "eve" {
				<-*hold
			}
		case r.URL.Path == "/user":
			if hold := s.holdLogins.Load(); hold != nil {
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

// authTable returns the table [auth.app] for the service.
func (s *httpService) authTable() string {
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

// serviceLogin returns the options of a PLAIN login of a user of an httpService.
func serviceLogin(user string, as zmtp.SocketType) zws.DialOptions {
	return zws.DialOptions{SocketType: as, Security: zmtp.Plain{User: user, Password: strings.ToUpper(user)}, HandshakeTimeout: time.Minute}
}

// TestHTTPService checks that a service written for RabbitMQ decides on logins, routes,
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
	router := startPeer(t, zmtp.ROUTER)
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
`+s.authTable()+routes+
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
			o := serviceLogin(tc.user, zmtp.DEALER)
			o.Security = zmtp.Plain{User: tc.user, Password: tc.password}
			if got := refusal(t, url+tc.path, o); got.Code != tc.code {
				t.Errorf("%s as %s: %v, want %d", tc.path, tc.user, got, tc.code)
			}
		}
	})
	for _, tc := range []struct {
		name, path string
		topic      string
		code       zws.Code // 0: the message comes back
	}{
		{"own topic", "/dealer", "alice/a", 0},
		{"topic of another user", "/dealer", "bob/a", 4403},
		{"route without the right to write", "/view", "alice/a", 4403},
		{"service and rules allow", "/ruled", "alice/a", 0},
		{"only the service allows", "/ruled", "alice/b", 4403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := connect(t, url+tc.path, serviceLogin("alice", zmtp.DEALER))
			if err := c.Send(t.Context(), message(tc.topic, "x")); err != nil {
				t.Fatal(err)
			}
			if tc.code != 0 {
				if got := sessionEnd(t, c).Code; got != tc.code {
					t.Errorf("got %d, want %d", got, tc.code)
				}
			} else if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != tc.topic {
				t.Errorf("got %q, %v", m, err)
			}
		})
	}
	t.Run("subscriptions", func(t *testing.T) {
		c := connect(t, url+"/sub", serviceLogin("alice", zmtp.SUB))
		if err := errors.Join(c.Subscribe(t.Context(), []byte("alice/")), c.Subscribe(t.Context(), []byte(""))); err != nil {
			t.Fatal(err)
		}
		if got := sessionEnd(t, c).Code; got != 4403 {
			t.Errorf("got %d, want 4403", got)
		}
	})
	t.Run("as authz of another entry", func(t *testing.T) {
		o := serviceLogin("bob", zmtp.DEALER)
		o.Security = zmtp.Plain{User: "bob", Password: "bob's secret"}
		c := connect(t, url+"/dealer", o)
		if err := errors.Join(c.Send(t.Context(), message("bob/a")), c.Send(t.Context(), message("alice/a"))); err != nil {
			t.Fatal(err)
		}
		if got := sessionEnd(t, c).Code; got != 4403 {
			t.Errorf("got %d, want 4403", got)
		}
	})
	t.Run("replies are cached", func(t *testing.T) {
		c := connect(t, url+"/dealer", serviceLogin("carol", zmtp.DEALER))
		before := s.topics.Load()
		for range 100 {
			if err := c.Send(t.Context(), message("carol/a")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Recv(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.topics.Load() - before; n != 1 {
			t.Errorf("%d requests for 100 messages on one topic, want 1", n)
		}
	})
	t.Run("failing service", func(t *testing.T) {
		c := connect(t, url+"/dealer", serviceLogin("dave", zmtp.DEALER))
		s.broken.Store(true)
		defer s.broken.Store(false)
		if got := refusal(t, url+"/dealer", serviceLogin("alice", zmtp.DEALER)); got.Code != 4300 || got.Status != 0 {
			t.Errorf("login: %v, want 4300 without ERROR", got)
		}
		if err := c.Send(t.Context(), message("dave/new")); err != nil {
			t.Fatal(err)
		}
		if got := sessionEnd(t, c).Code; got != 4300 {
			t.Errorf("message: %d, want 4300", got)
		}
	})
}

// TestLoginStorm checks that a client that is logged in can send, also on topics that the
// service has not been asked about, while more logins than there are connections to the service
// wait for it and a message of another client waits too.
func TestLoginStorm(t *testing.T) {
	s := newHTTPService(t, func(string, func(string) string) bool { return true })
	url, _ := start(t, `
[zap]
timeout = "1m"
chain = [ { authn = "app" } ]
`+s.authTable()+routeTo("/d", "DEALER", echoRouter(t)))
	in := connect(t, url+"/d", serviceLogin("alice", zmtp.DEALER))

	eve := connect(t, url+"/d", serviceLogin("eve", zmtp.DEALER))
	hold := make(chan struct{})
	s.holdTopics.Store(&hold)
	if err := eve.Send(t.Context(), message("topic")); err != nil {
		t.Fatal(err)
	}
	s.holdLogins.Store(&hold)
	var storm sync.WaitGroup
	for i := range 200 {
		storm.Go(func() {
			c, err := zws.Dial(context.Background(), url+"/d", serviceLogin(fmt.Sprint("user", i), zmtp.DEALER))
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	for i := range 200 {
		if err := in.Send(t.Context(), message(fmt.Sprint("topic ", i))); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(hold)
	storm.Wait()
	if _, err := eve.Recv(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestReloadHTTPService checks that a reload with the same service keeps its cached replies, that a
// failed reload changes nothing, and that a reload with another service ends the sessions of the
// first.
func TestReloadHTTPService(t *testing.T) {
	allow := func(string, func(string) string) bool { return true }
	first, second := newHTTPService(t, allow), newHTTPService(t, allow)
	router := startPeer(t, zmtp.ROUTER)
	config := func(s *httpService, drain string) string {
		return fmt.Sprintf("[server]\ndrain = %q\n[zap]\ntimeout = \"1m\"\nchain = [ { authn = \"app\" } ]\n", drain) +
			s.authTable() + routeTo("/d", "DEALER", router.endpoint)
	}
	var dir string
	url, b := startIn(t, func(d string) string { dir = d; return config(first, "1s") })
	c := connect(t, url+"/d", serviceLogin("alice", zmtp.DEALER))
	send := func() {
		t.Helper()
		if err := c.Send(t.Context(), message("a")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recv(t.Context()); err != nil {
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
`, router.endpoint) // an endpoint that is in use
	if err := b.Reload(loadConfig(t, dir, broken)); err == nil {
		t.Error("reloaded a configuration with an endpoint that is in use")
	}
	send()
	reload(t, b, dir, config(second, "2s"))
	if got := sessionEnd(t, c).Code; got != 4300 {
		t.Errorf("got %d, want 4300", got)
	}
	c = connect(t, url+"/d", serviceLogin("alice", zmtp.DEALER))
	send()
}
