package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var anybody = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
	return &zap.Reply{Status: zap.OK}, nil
})

// foreign is a remote ZAP handler that answers every message as the test specifies.
type foreign struct {
	listener *zmtp.Listener
	running  sync.WaitGroup
}

// listen starts a handler that calls serve for every message of every connection.
func listen(t testing.TB, endpoint string, serve func(*zmtp.Conn, zmtp.Message)) *foreign {
	t.Helper()
	l, err := zmtp.Listen(endpoint, zap.NULL, zmtp.ServerSecurity{Handler: anybody, Domain: "test"},
		zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.REP}})
	must(t, err)
	f := &foreign{listener: l}
	f.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() {
				defer conn.Close()
				for {
					m, err := conn.ReadMessage()
					if err != nil {
						return
					}
					serve(conn, m)
				}
			})
		}
	})
	t.Cleanup(f.close)
	return f
}

// close stops listening; connections end when the client closes them.
func (f *foreign) close() {
	f.listener.Close()
	f.running.Wait()
}

// reply returns the reply of a correct handler to m.
func reply(m zmtp.Message, status, user string) zmtp.Message {
	return zmtp.Message{{}, []byte("1.0"), m[2], []byte(status), []byte("because"), []byte(user), {}}
}

// good accepts every peer under the user name in the request.
func good(c *zmtp.Conn, m zmtp.Message) { c.Write(reply(m, "200", string(m[7]))) }

func ask(t testing.TB, endpoint string, o Options) *Client {
	t.Helper()
	o.Endpoint = endpoint
	c, err := New(o)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func plain(user, password string) *zap.Request {
	return &zap.Request{Domain: "global", Address: "192.0.2.1", Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte(user), []byte(password)}}
}

// TestRequestOnTheWire: the message of a DEALER socket as in 27/ZAP.
func TestRequestOnTheWire(t *testing.T) {
	seen := make(chan zmtp.Message, 1)
	h := listen(t, "tcp://127.0.0.1:*", func(c *zmtp.Conn, m zmtp.Message) {
		seen <- m
		c.Write(zmtp.Message{{}, []byte("1.0"), m[2], []byte("200"), []byte("OK"), []byte("joe"), zap.Metadata{{Name: "Tags", Value: "admin"}}.Append(nil)})
	})
	c := ask(t, h.listener.Endpoint(), Options{})
	req := plain("admin", "secret")
	req.RoutingID = []byte("BOB")
	got, err := c.Authenticate(t.Context(), req)
	must(t, err)
	want := &zap.Reply{Status: zap.OK, Text: "OK", UserID: "joe", Metadata: zap.Metadata{{Name: "Tags", Value: "admin"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	m := <-seen
	id := m[2]
	m[2] = []byte("id")
	var text []string
	for _, f := range m {
		text = append(text, string(f))
	}
	if d := cmp.Diff([]string{"", "1.0", "id", "global", "192.0.2.1", "BOB", "PLAIN", "admin", "secret"}, text); d != "" {
		t.Error(d)
	}
	if _, err := c.Authenticate(t.Context(), req); err != nil || string((<-seen)[2]) == string(id) {
		t.Errorf("the second request has the id of the first; error %v", err)
	}
}

func TestStatuses(t *testing.T) {
	h := listen(t, "tcp://127.0.0.1:*", func(c *zmtp.Conn, m zmtp.Message) { c.Write(reply(m, string(m[7]), "")) })
	c := ask(t, h.listener.Endpoint(), Options{})
	for _, status := range []zap.Status{zap.OK, zap.Temporary, zap.Internal} {
		r, err := c.Authenticate(t.Context(), plain(fmt.Sprint(int(status)), ""))
		if err != nil || r.Status != status {
			t.Errorf("%d: reply %v, error %v", status, r, err)
		}
	}
	if r, err := c.Authenticate(t.Context(), plain("400", "")); !errors.Is(err, zap.ErrPass) {
		t.Errorf("400: reply %v, error %v, want a pass", r, err)
	}
}

// TestPipelined: the handler gets many requests over one connection and answers them in
// another order.
func TestPipelined(t *testing.T) {
	const n = 100
	var mu sync.Mutex
	var held []zmtp.Message
	conns := make(map[*zmtp.Conn]bool)
	h := listen(t, "tcp://127.0.0.1:*", func(c *zmtp.Conn, m zmtp.Message) {
		mu.Lock()
		defer mu.Unlock()
		conns[c] = true
		if held = append(held, m); len(held) < n {
			return
		}
		slices.Reverse(held)
		for _, m := range held {
			good(c, m)
		}
	})
	c := ask(t, h.listener.Endpoint(), Options{Timeout: time.Minute})
	var asked sync.WaitGroup
	for i := range n {
		asked.Go(func() {
			user := fmt.Sprint("user", i)
			if r := zap.Decide(t.Context(), c, plain(user, "")); r.UserID != user {
				t.Errorf("%s got %+v", user, r)
			}
		})
	}
	asked.Wait()
	if len(conns) != 1 {
		t.Errorf("%d connections, want 1", len(conns))
	}
}

// TestReconnect: a handler that starts late, stops and starts again.
func TestReconnect(t *testing.T) {
	h := listen(t, "tcp://127.0.0.1:*", good)
	endpoint := h.listener.Endpoint()
	h.close()
	c := ask(t, endpoint, Options{})
	if r := zap.Decide(t.Context(), c, plain("ada", "")); r.Status != zap.Temporary {
		t.Errorf("nobody listens: %+v", r)
	}
	for range 3 {
		gone := make(chan struct{})
		h := listen(t, endpoint, func(c *zmtp.Conn, m zmtp.Message) {
			if string(m[7]) == "go" {
				c.Close()
				close(gone)
				return
			}
			good(c, m)
		})
		if r := zap.Decide(t.Context(), c, plain("ada", "")); r.UserID != "ada" {
			t.Errorf("after it started again: %+v", r)
		}
		if r := zap.Decide(t.Context(), c, plain("go", "")); r.Status != zap.Temporary {
			t.Errorf("after it stopped: %+v", r)
		}
		<-gone
		h.close()
	}
}

// TestAnswersAndCloses: a reply counts even if the connection is closed right after it.
func TestAnswersAndCloses(t *testing.T) {
	h := listen(t, "tcp://127.0.0.1:*", func(c *zmtp.Conn, m zmtp.Message) {
		good(c, m)
		c.Close()
	})
	for range 100 {
		c := ask(t, h.listener.Endpoint(), Options{})
		if r := zap.Decide(t.Context(), c, plain("ada", "")); r.UserID != "ada" {
			t.Fatalf("reply %+v", r)
		}
	}
}

// TestRetired: a connection that receives nothing is replaced by another one, but not closed
// before its pending requests have ended.
func TestRetired(t *testing.T) {
	var mu sync.Mutex
	conns := make(map[*zmtp.Conn]int)
	hold := make(chan zmtp.Message, 10)
	h := listen(t, "tcp://127.0.0.1:*", func(c *zmtp.Conn, m zmtp.Message) {
		mu.Lock()
		if _, ok := conns[c]; !ok {
			conns[c] = len(conns)
		}
		first := conns[c] == 0
		mu.Unlock()
		switch {
		case !first:
			good(c, m)
		case string(m[7]) == "release":
			c.Write(reply(<-hold, "200", "patient"))
		default:
			hold <- m
		}
	})
	c := ask(t, h.listener.Endpoint(), Options{Timeout: time.Minute})
	patient := make(chan *zap.Reply)
	go func() { patient <- zap.Decide(t.Context(), c, plain("patient", "")) }()
	m := <-hold
	hold <- m
	first := c.link
	ctx, cancel := context.WithDeadline(t.Context(), time.Now()) // already over
	defer cancel()
	if r := zap.Decide(ctx, c, plain("hasty", "")); r.Status != zap.Temporary {
		t.Errorf("hasty: %+v", r)
	}
	if r := zap.Decide(t.Context(), c, plain("next", "")); r.UserID != "next" {
		t.Errorf("next: %+v", r)
	}
	releasing, release := context.WithCancel(t.Context())
	released := make(chan error)
	go func() {
		_, err := first.ask(releasing, "x-1", plain("release", ""))
		released <- err
	}()
	if r := <-patient; r.UserID != "patient" {
		t.Errorf("patient: %+v", r)
	}
	release()
	<-released
	<-first.ctx.Done() // no request is pending on it
}

func TestMaxPending(t *testing.T) {
	arrived := make(chan struct{}, 10)
	h := listen(t, "tcp://127.0.0.1:*", func(*zmtp.Conn, zmtp.Message) { arrived <- struct{}{} })
	c := ask(t, h.listener.Endpoint(), Options{MaxPending: 2, Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	var asked sync.WaitGroup
	for range 2 {
		asked.Go(func() { c.Authenticate(ctx, plain("ada", "")) })
		<-arrived
	}
	if _, err := c.Authenticate(t.Context(), plain("ada", "")); err == nil || !strings.Contains(err.Error(), "2 requests are pending") {
		t.Errorf("the third of two: %v", err)
	}
	cancel()
	asked.Wait()
}

func TestClose(t *testing.T) {
	arrived := make(chan struct{}, 1)
	h := listen(t, "tcp://127.0.0.1:*", func(*zmtp.Conn, zmtp.Message) { arrived <- struct{}{} })
	c := ask(t, h.listener.Endpoint(), Options{Timeout: time.Minute})
	done := make(chan error)
	go func() {
		_, err := c.Authenticate(t.Context(), plain("ada", ""))
		done <- err
	}()
	<-arrived
	c.Close()
	if err := <-done; err == nil {
		t.Error("a request outlived Close")
	}
	if _, err := c.Authenticate(t.Context(), plain("ada", "")); err == nil {
		t.Error("a request after Close")
	}
}

// TestNotExpressible: a request without a wire form is an error and is not sent in altered form.
func TestNotExpressible(t *testing.T) {
	h := listen(t, "tcp://127.0.0.1:*", good)
	c := ask(t, h.listener.Endpoint(), Options{})
	for name, r := range map[string]*zap.Request{
		"no domain":  {Mechanism: zap.NULL},
		"too large":  {Domain: "d", Mechanism: zap.BEARER, Credentials: [][]byte{make([]byte, 128<<10)}},
		"not ASCII":  {Domain: "häuser", Mechanism: zap.NULL},
		"CURVE of 8": {Domain: "d", Mechanism: zap.CURVE, Credentials: [][]byte{make([]byte, 8)}},
	} {
		if reply, err := c.Authenticate(t.Context(), r); err == nil || errors.Is(err, zap.ErrPass) {
			t.Errorf("%s: reply %v, error %v", name, reply, err)
		}
	}
}

func TestIPC(t *testing.T) {
	h := listen(t, "ipc://"+t.TempDir()+"/zap", good)
	c := ask(t, h.listener.Endpoint(), Options{})
	if r := zap.Decide(t.Context(), c, plain("ada", "")); r.UserID != "ada" {
		t.Errorf("reply %+v", r)
	}
}

func TestSecurityWanted(t *testing.T) {
	curve := zmtp.Curve{}
	for endpoint, want := range map[string]struct{ null, curve bool }{
		"tcp://127.0.0.1:9000":          {true, true},
		"tcp://127.8.9.10:9000":         {true, true},
		"tcp://[::1]:9000":              {true, true},
		"tcp://[::ffff:127.0.0.1]:9000": {true, true},
		"tcp://localhost:9000":          {true, true},
		"ipc:///run/zap":                {true, true},
		"tcp://192.0.2.1:9000":          {false, true},
		"tcp://zap.example.org:9000":    {false, true},
		"tcp://localhost.evil:9000":     {false, true},
		"tcp://[::]:9000":               {false, true},
		"tcp://*:9000":                  {false, true},
		"udp://127.0.0.1:9000":          {false, false},
		"":                              {false, false},
	} {
		for _, c := range []struct {
			security zmtp.ClientSecurity
			want     bool
		}{{nil, want.null}, {zmtp.Plain{User: "a"}, want.null}, {curve, want.curve}} {
			client, err := New(Options{Endpoint: endpoint, Security: c.security})
			if (err == nil) != c.want {
				t.Errorf("client of %q with %T: %v", endpoint, c.security, err)
			}
			if client != nil {
				client.Close()
			}
		}
		if want.null || !want.curve {
			continue
		}
		if _, err := Listen(ServerOptions{Endpoint: endpoint, Handler: anybody}); err == nil {
			t.Errorf("server at %q without CURVE: no error", endpoint)
		}
	}
}

// pair returns a CURVE key pair.
func pair(t testing.TB) *certs.Certificate {
	t.Helper()
	c, err := certs.New()
	must(t, err)
	return c
}
