package zws_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/curve25519"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// all are the mechanisms that a server accepts unless a test says otherwise.
var all = []zap.Mechanism{zap.NULL, zap.PLAIN, zap.BEARER, zap.CURVE, zap.TLS}

// statuses is a ZAP handler that answers with the status in the user name, the token or, for
// CURVE and NULL, the routing id: "200", "300", "400" or "500"; and with 200 to anything else
// that is not empty.
func statuses(_ context.Context, r *zap.Request) (*zap.Reply, error) {
	name := string(r.RoutingID)
	if len(r.Credentials) > 0 && r.Mechanism != zap.CURVE {
		name = string(r.Credentials[0])
	}
	reply := &zap.Reply{Status: zap.OK, UserID: name}
	switch name {
	case "300":
		reply.Status = zap.Temporary
	case "400":
		reply.Status = zap.Refused
	case "500":
		reply.Status = zap.Internal
	}
	return reply, nil
}

// options are those of a DEALER route that lets everyone in.
func options() zws.Options {
	public, secret := keyPair()
	return zws.Options{
		Handler:          zap.HandlerFunc(statuses),
		Domain:           "test",
		Mechanisms:       all,
		Announce:         zmtp.ROUTER,
		ClientTypes:      []zmtp.SocketType{zmtp.DEALER, zmtp.REQ},
		Untyped:          zmtp.DEALER,
		RoutingID:        []byte("us"),
		PlaintextAllowed: true,
		CurvePublic:      public,
		CurveSecret:      secret,
	}
}

func keyPair() (public, secret [32]byte) {
	rand.Read(secret[:])
	p, err := curve25519.X25519(secret[:], curve25519.Basepoint)
	if err != nil {
		panic(err)
	}
	return [32]byte(p), secret
}

// queue is a Source of messages and notifications: a message "unsubscribed" with a topic
// becomes a notification.
type queue struct {
	channel *zws.Channel
	mu      sync.Mutex
	items   []zmtp.Message
}

func (q *queue) put(m zmtp.Message) {
	q.mu.Lock()
	q.items = append(q.items, m)
	q.mu.Unlock()
	q.channel.Wake()
}

func (q *queue) Next(b *zws.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) > 0 && !b.Full() {
		if m := q.items[0]; len(m) == 2 && string(m[0]) == "unsubscribed" {
			b.Unsubscribed(m[1])
		} else {
			b.Message(m, nil)
		}
		q.items = q.items[1:]
	}
}

// server accepts clients until the test ends.
type server struct {
	*httptest.Server
	accepted chan accepted // every result of Accept
	handlers sync.WaitGroup
	conns    sync.WaitGroup
	cancel   context.CancelFunc
}

type accepted struct {
	conn *zws.Conn
	err  error
}

// decide accepts or rejects a client that the ZAP handler has let in.
type decide func(*zws.PendingConn) (*zws.Conn, error)

func accept(p *zws.PendingConn) (*zws.Conn, error) { return p.Accept(zws.AcceptOptions{}) }

func acceptWith(o zws.AcceptOptions) decide {
	return func(p *zws.PendingConn) (*zws.Conn, error) { return p.Accept(o) }
}

// after accepts when open has returned nil, and rejects for the error that it returns.
func after(open func(ctx context.Context, l *zws.Login) error) decide {
	return func(p *zws.PendingConn) (*zws.Conn, error) {
		if err := open(p.Context(), p.Login()); err != nil {
			return nil, p.Reject(err)
		}
		return p.Accept(zws.AcceptOptions{})
	}
}

// rejectWith rejects for cause.
func rejectWith(cause error) decide {
	return after(func(context.Context, *zws.Login) error { return cause })
}

// login runs zws.Accept and d.
func (d decide) login(ctx context.Context, w http.ResponseWriter, r *http.Request, o zws.Options) (*zws.Conn, error) {
	pending, err := zws.Accept(ctx, w, r, o)
	if err != nil {
		return nil, err
	}
	return d(pending)
}

func serve(t testing.TB, o zws.Options, start func(*httptest.Server)) *server {
	return serveWith(t, o, start, accept, echo)
}

// serveWith lets d decide, and runs another function than echo for each connection.
func serveWith(t testing.TB, o zws.Options, start func(*httptest.Server), d decide, run func(*zws.Conn)) *server {
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{accepted: make(chan accepted, 1000), cancel: cancel}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handlers.Add(1)
		defer s.handlers.Done()
		conn, err := d.login(ctx, w, r, o)
		s.accepted <- accepted{conn, err}
		if err == nil {
			s.conns.Go(func() { run(conn) })
		}
	}))
	start(s.Server)
	t.Cleanup(func() {
		cancel()
		s.Close()
		s.handlers.Wait()
		close(s.accepted)
		for a := range s.accepted {
			if a.conn != nil {
				a.conn.Close(nil)
			}
		}
		s.conns.Wait()
	})
	return s
}

// refuseAll starts a server that refuses every client with cause.
func refuseAll(t testing.TB, cause error) *server {
	s := &server{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		zws.Refuse(w, r, zws.Options{}, cause)
	}))}
	t.Cleanup(s.Close)
	return s
}

// echo sends back what the client sends until the connection ends.
func echo(conn *zws.Conn) {
	q := &queue{channel: conn.Channel()}
	conn.Channel().Attach(q)
	for {
		m, err := conn.Channel().ReadMessage()
		if err != nil {
			conn.Wait()
			return
		}
		q.put(m)
	}
}

// transport is the transport of an http.Client of httptest.
type transport = http.Transport

// drop reads what the client sends and ignores it.
func drop(conn *zws.Conn) {
	for {
		if _, err := conn.Channel().ReadMessage(); err != nil {
			conn.Wait()
			return
		}
	}
}

func plain(s *httptest.Server) { s.Start() }
func tls(s *httptest.Server)   { s.StartTLS() }

// url returns the server's URL for a WebSocket.
func (s *server) url() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

func message(frames ...string) zmtp.Message {
	var m zmtp.Message
	for _, f := range frames {
		m = append(m, []byte(f))
	}
	return m
}
