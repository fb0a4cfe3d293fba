//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// authService runs a service for rabbitmq_auth_backend_http that RabbitMQ and the bridge both ask.
// Users that can write to an exchange can also read it: the bridge asks for read when a client
// opens a route, and RabbitMQ has no such step.
func authService(t *testing.T) (address string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := r.PostFormValue
		administrator := slices.Contains(strings.Fields(f("tags")), "administrator")
		allowed := false
		switch r.URL.Path {
		case "/user":
			if f("username") == "alice" && f("password") == "pw" {
				fmt.Fprint(w, "allow Administrator")
				return
			}
			allowed = f("password") == "pw"
		case "/vhost":
			allowed = administrator || f("vhost") == "homes"
		case "/resource":
			switch {
			case f("resource") == "queue":
				allowed = true
			case f("name") == "closed":
				allowed = administrator
			case f("name") == "commands":
				allowed = f("permission") == "read" || f("username") != "carol"
			default:
				allowed = f("name") == "devices"
			}
		case "/topic":
			allowed = strings.HasPrefix(f("routing_key"), f("username")+".") ||
				f("permission") == "read" && strings.HasPrefix(f("routing_key"), "public.")
		}
		if allowed {
			fmt.Fprint(w, "allow")
		} else {
			fmt.Fprint(w, "deny")
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// attempt is a user who reads or writes a topic.
type attempt struct {
	user, password string
	vhost, name    string
	write          bool
	topic          string
}

func (a attempt) String() string {
	verb := "reads"
	if a.write {
		verb = "writes"
	}
	return fmt.Sprintf("%s with %q %s %q at %s in %s", a.user, a.password, verb, a.topic, a.name, a.vhost)
}

// security returns the login at the bridge: a password without a user name is a token.
func (a attempt) security() zmtp.ClientSecurity {
	if a.user == "" {
		return zmtp.Bearer{Token: a.password}
	}
	return zmtp.Plain{User: a.user, Password: a.password}
}

// allAttempts returns all combinations.
func allAttempts() (all []attempt) {
	for _, login := range [][2]string{{"alice", "pw"}, {"bob", "pw"}, {"carol", "pw"}, {"bob", "guess"}} {
		for _, vhost := range []string{"homes", "office"} {
			for _, name := range rabbitmqExchanges {
				for _, write := range []bool{false, true} {
					for _, topic := range []string{"alice.temp", "bob.temp", "carol.a b&c=d%2F+é", "public.news", "alicette.x"} {
						all = append(all, attempt{login[0], login[1], vhost, name, write, topic})
					}
				}
			}
		}
	}
	return all
}

// The decisions that a client can see.
const (
	allowed = "allowed"
	refused = "refused"
	noLogin = "no login"
)

// byRabbitMQ returns the decision of RabbitMQ.
func byRabbitMQ(t *testing.T, broker string, a attempt) string {
	t.Helper()
	s, ok := dialSTOMP(t, broker, a.vhost, a.user, a.password)
	defer s.close()
	destination := "destination:/exchange/" + a.name + "/" + url.PathEscape(a.topic)
	switch {
	case !ok:
		return noLogin
	case a.write && s.ask("SEND", "RECEIPT", destination, "receipt:1"),
		!a.write && s.ask("SUBSCRIBE", "RECEIPT", destination, "id:1", "receipt:1"):
		return allowed
	}
	return refused
}

// bridges are one bridge per vhost and direction, with a route for each exchange. What clients
// write arrives at written; what they read is published meanwhile.
type bridges struct {
	urls    map[string]string // by vhost and socket type
	pub     *publisher
	written chan string
}

func (o *bridges) decide(t *testing.T, a attempt) string {
	t.Helper()
	as, m := zmtp.SUB, zmtp.Message{[]byte("\x01" + a.topic)}
	if a.write {
		as, m = zmtp.DEALER, zmtp.Message{[]byte(a.topic)}
	}
	c, err := zws.Dial(t.Context(), o.urls[a.vhost+" "+string(as)]+a.name, zws.DialOptions{
		SocketType:       as,
		Security:         a.security(),
		HandshakeTimeout: patience,
	})
	if err == nil {
		defer c.Close()
		if err = c.Send(t.Context(), m); err == nil {
			err = o.await(c, a)
		}
	}
	cause, ok := errors.AsType[*zws.CloseError](err)
	switch {
	case err == nil:
		return allowed
	case ok && cause.Code == zws.CodeRefused:
		return noLogin
	case ok && cause.Code == zws.CodeForbidden:
		return refused
	}
	t.Errorf("%v: %v", a, err)
	return ""
}

// await waits until the topic has been delivered or the session has ended.
func (o *bridges) await(c *zws.Client, a attempt) error {
	received := make(chan error, 1)
	go func() {
		_, err := c.Recv(context.Background())
		received <- err
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-received:
			return err
		case <-o.written:
			return nil
		case <-tick.C:
			if !a.write {
				o.pub.publish(a.topic)
			}
		}
	}
}

// publisher is a PUB that sends everything to every subscriber.
type publisher struct {
	mu    sync.Mutex
	conns []*zmtp.Conn
}

func (p *publisher) publish(topic string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Write(zmtp.Message{[]byte(topic)})
	}
}

// listen runs a native peer until the test ends. It calls connected for every connection and got
// for every message.
func listen(t *testing.T, as zmtp.SocketType, connected func(*zmtp.Conn), got func(zmtp.Message)) (endpoint string) {
	t.Helper()
	accept := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: zap.OK}, nil })
	l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, zmtp.ServerSecurity{Domain: "native", Handler: accept},
		zmtp.ListenOptions{Options: zmtp.Options{SocketType: as}})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connected(c)
			running.Go(func() {
				defer c.Close()
				for {
					m, err := c.ReadMessage()
					if err != nil {
						return
					}
					got(m)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Endpoint()
}

// newBridges runs them until the test ends; auth is the text of [auth.app].
func newBridges(t *testing.T, auth string) *bridges {
	t.Helper()
	o := &bridges{urls: make(map[string]string), pub: new(publisher), written: make(chan string, 1)}
	endpoints := map[zmtp.SocketType]string{
		zmtp.SUB: listen(t, zmtp.PUB, func(c *zmtp.Conn) {
			o.pub.mu.Lock()
			defer o.pub.mu.Unlock()
			o.pub.conns = append(o.pub.conns, c)
		}, func(zmtp.Message) {}),
		zmtp.DEALER: listen(t, zmtp.ROUTER, func(*zmtp.Conn) {}, func(m zmtp.Message) { o.written <- string(m[0]) }),
	}
	for _, vhost := range []string{"homes", "office"} {
		for as, endpoint := range endpoints {
			var routes strings.Builder
			for _, name := range rabbitmqExchanges {
				fmt.Fprintf(&routes, "[[route]]\npath = \"/%s\"\nsocket = %q\nconnect = [%q]\n", name, as, endpoint)
			}
			o.urls[vhost+" "+string(as)] = newHome(t).bridge(fmt.Sprintf(`
[server]
max_failures = 0
[zap]
domain = %q
timeout = "1m"
chain = [ { authn = "app" } ]
[auth.app]
`, vhost) + auth + routes.String())
		}
	}
	return o
}

// TestRabbitMQHTTP compares the decisions of RabbitMQ and of the bridge, which ask the same service.
func TestRabbitMQHTTP(t *testing.T) {
	service := authService(t)
	broker := rabbitmq(t, fmt.Sprintf(`
auth_backends.1 = http
auth_http.http_method = post
auth_http.user_path = %[1]s/user
auth_http.vhost_path = %[1]s/vhost
auth_http.resource_path = %[1]s/resource
auth_http.topic_path = %[1]s/topic
`, service), "rabbitmq_auth_backend_http")
	o := newBridges(t, fmt.Sprintf(`
type = "http"
user_path = "%[1]s/user"
vhost_path = "%[1]s/vhost"
resource_path = "%[1]s/resource"
topic_path = "%[1]s/topic"
`, service))
	count := make(map[string]int)
	for _, a := range allAttempts() {
		want := byRabbitMQ(t, broker, a)
		if got := o.decide(t, a); got != want {
			t.Errorf("%v: %q, RabbitMQ decides %q", a, got, want)
		}
		count[want]++
	}
	t.Logf("decisions: %v", count)
	if count[allowed] == 0 || count[refused] == 0 || count[noLogin] == 0 {
		t.Error("want every kind of decision in the table")
	}
}
