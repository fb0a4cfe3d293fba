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

// authService is what stands in front of RabbitMQ and of ours: a small service for
// rabbitmq_auth_backend_http. Whoever may write to an exchange may read it too, since ours
// asks for read where a client attaches, and RabbitMQ knows no attaching.
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

// attempt is one row: a user wants to do something with a topic.
type attempt struct {
	user, password string
	vhost, name    string
	write          bool
	topic          string
}

func (a attempt) String() string {
	does := "reads"
	if a.write {
		does = "writes"
	}
	return fmt.Sprintf("%s with %q %s %q at %s in %s", a.user, a.password, does, a.topic, a.name, a.vhost)
}

// security is how ours is logged in to: a password that has no user name is a token.
func (a attempt) security() zmtp.ClientSecurity {
	if a.user == "" {
		return zmtp.Bearer{Token: a.password}
	}
	return zmtp.Plain{User: a.user, Password: a.password}
}

// attempts are all combinations.
func attempts() (all []attempt) {
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

// The decisions that a client can be told.
const (
	allowed = "allowed"
	refused = "refused"
	outside = "no login"
)

// byRabbitMQ has RabbitMQ decide.
func byRabbitMQ(t *testing.T, broker string, a attempt) string {
	t.Helper()
	s, ok := dialSTOMP(t, broker, a.vhost, a.user, a.password)
	defer s.close()
	destination := "destination:/exchange/" + a.name + "/" + url.PathEscape(a.topic)
	switch {
	case !ok:
		return outside
	case a.write && s.ask("SEND", "RECEIPT", destination, "receipt:1"),
		!a.write && s.ask("SUBSCRIBE", "RECEIPT", destination, "id:1", "receipt:1"):
		return allowed
	}
	return refused
}

// ours are bridges of one vhost each, on whose routes clients either read or write: the
// name of a route is that of the exchange. What is written arrives at written; what is read
// is published meanwhile.
type ours struct {
	urls    map[string]string // by vhost and socket type
	pub     *publisher
	written chan string
}

func (o *ours) decide(t *testing.T, a attempt) string {
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
		if err = c.Send(m); err == nil {
			err = o.await(c, a)
		}
	}
	cause, ok := errors.AsType[*zws.CloseError](err)
	switch {
	case err == nil:
		return allowed
	case ok && cause.Code == zws.CodeRefused:
		return outside
	case ok && cause.Code == zws.CodeForbidden:
		return refused
	}
	t.Errorf("%v: %v", a, err)
	return ""
}

// await waits until the topic has come through, or the session has ended.
func (o *ours) await(c *zws.Client, a attempt) error {
	received := make(chan error, 1)
	go func() {
		_, err := c.Recv()
		received <- err
	}()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-received:
			return err
		case <-o.written:
			return nil
		case <-again.C:
			if !a.write {
				o.pub.publish(a.topic)
			}
		}
	}
}

// publisher is a PUB that leaves it to its subscribers to choose.
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

// listen runs a native peer; each is told of every connection, and of what it brings.
func listen(t *testing.T, as zmtp.SocketType, connected func(*zmtp.Conn), got func(zmtp.Message)) (endpoint string) {
	t.Helper()
	letIn := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: zap.OK}, nil })
	l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, zmtp.ServerSecurity{Domain: "native", Handler: letIn},
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

// newOurs runs them; auth is the text of [auth.app].
func newOurs(t *testing.T, auth string) *ours {
	t.Helper()
	o := &ours{urls: make(map[string]string), pub: new(publisher), written: make(chan string, 1)}
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

// TestRabbitMQHTTP has one service decide for RabbitMQ and for ours, and compares.
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
	o := newOurs(t, fmt.Sprintf(`
type = "http"
user_path = "%[1]s/user"
vhost_path = "%[1]s/vhost"
resource_path = "%[1]s/resource"
topic_path = "%[1]s/topic"
`, service))
	count := make(map[string]int)
	for _, a := range attempts() {
		want := byRabbitMQ(t, broker, a)
		if got := o.decide(t, a); got != want {
			t.Errorf("%v: RabbitMQ says %q, ours %q", a, want, got)
		}
		count[want]++
	}
	t.Logf("decisions: %v", count)
	if count[allowed] == 0 || count[refused] == 0 || count[outside] == 0 {
		t.Error("a table of one kind of decision proves little")
	}
}
