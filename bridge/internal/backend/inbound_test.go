package backend

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// inbound is a socket that listens, without a network: its peers are connected by net.Pipe,
// so that tests can run in a synctest bubble. A write to a peer ends when the peer has read it.
type inbound struct {
	*Shared
	t       testing.TB
	serving sync.WaitGroup
}

func newInbound(t testing.TB, o ListenOptions) *inbound {
	t.Helper()
	o.Addresses = []string{"tcp://127.0.0.1:0"}
	o.Linger = -1
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	s := &inbound{Shared: newListening(o), t: t}
	t.Cleanup(s.close)
	return s
}

// close closes the socket. In a synctest bubble the test calls it.
func (s *inbound) close() {
	s.Close()
	s.serving.Wait()
}

// everybody accepts every login: the user is that of PLAIN, or nobody for NULL.
var everybody = zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
	user, _, _ := r.Plain()
	return &zap.Reply{Status: zap.OK, UserID: user}, nil
})

// connect connects a peer of a user ("" for none) and returns when it is one of the socket's.
func (s *inbound) connect(user string, o zmtp.Options) *zmtp.Conn {
	s.t.Helper()
	c, err := s.tryConnect(user, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *inbound) tryConnect(user string, o zmtp.Options) (*zmtp.Conn, error) {
	a, b := net.Pipe()
	mechanism, sec := zap.NULL, zmtp.ClientSecurity(zmtp.Null{})
	if user != "" {
		mechanism, sec = zap.PLAIN, zmtp.Plain{User: user, Password: "x"}
	}
	joined, failed := make(chan struct{}), make(chan struct{})
	s.serving.Go(func() {
		security := zmtp.ServerSecurity{Handler: everybody, Domain: "test", Admit: s.o.admit}
		conn, err := zmtp.Server(context.Background(), b, mechanism, security, zmtp.Options{SocketType: s.o.SocketType, WriteTimeout: time.Hour})
		if err != nil {
			close(failed)
			return
		}
		go s.whenJoined(conn, joined)
		s.serve(conn, nil)
	})
	o.WriteTimeout = time.Hour
	c, err := zmtp.Client(context.Background(), a, sec, o)
	if err != nil {
		<-failed
		return nil, err
	}
	s.t.Cleanup(func() { c.Close() })
	<-joined
	return c, nil
}

func (s *inbound) whenJoined(conn *zmtp.Conn, joined chan struct{}) {
	c := s.core
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closing {
		for _, p := range c.peers {
			if p.conn == conn {
				close(joined)
				return
			}
		}
		c.changed.Wait()
	}
}

// attach attaches a client that may do what o allows.
func (s *inbound) attach(o AttachOptions) (Socket, *inbox) {
	s.t.Helper()
	in := newInbox()
	x, err := s.Attach(in, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { x.Close() })
	return x, in
}

// only lets a client send to peers whose routing id is one of ids.
func only(ids ...string) AttachOptions {
	return AttachOptions{MayAddress: func(id []byte) bool {
		return strings.Contains(" "+strings.Join(ids, " ")+" ", " "+string(id)+" ")
	}}
}

// controller is a ROUTER's peer with a routing id.
func controller(id string) zmtp.Options {
	return zmtp.Options{SocketType: zmtp.DEALER, RoutingID: []byte(id)}
}

// ownsID is the rule of a route: the user itself, or the user, "/" and anything.
func ownsID(reply *zap.Reply, id string) bool {
	user := userOf(reply)
	return user != "" && (id == user || strings.HasPrefix(id, user+"/")) || user == "" && strings.HasPrefix(id, "guest")
}

// prefixes are peer rights by prefixes of topics.
type prefixes struct{ publish, subscribe string }

func (p prefixes) Publish(topic []byte) bool   { return bytes.HasPrefix(topic, []byte(p.publish)) }
func (p prefixes) Subscribe(topic []byte) bool { return bytes.HasPrefix(topic, []byte(p.subscribe)) }

// violations collects what ListenOptions.Forbidden reports.
type violations chan string

func (v violations) report(s Status, topic []byte) { v <- s.User + ": " + string(topic) }

// TestNetwork checks which addresses of userless peers are one owner: each of IPv4, and each /64
// of IPv6.
func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:5555":              "192.0.2.1",
		"[::ffff:192.0.2.1]:5555":     "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:5555": "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:5556": "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:5555":      "2001:db8:1:3::/64",
		"[fe80::1%eth0]:5555":         "fe80::/64",
		"@":                           "@", // ipc
		"":                            "",
		"peer.example:5555":           "peer.example",
	} {
		if got := network(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestAcceptFailed checks that a peer that could not be accepted, and so has no address, is
// reported as such.
func TestAcceptFailed(t *testing.T) {
	failed, refused := []error{}, []string{}
	s := newInbound(t, ListenOptions{
		Options: Options{SocketType: zmtp.SUB}, Mechanism: zap.NULL,
		Failed:  func(err error) { failed = append(failed, err) },
		Refused: func(address string, _ error) { refused = append(refused, address) },
	})
	report := s.listenOptions(&s.o).Refused
	report(nil, syscall.EMFILE)
	report(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, io.EOF)
	if len(failed) != 1 || failed[0] != syscall.EMFILE || len(refused) != 1 || refused[0] != "192.0.2.1:1" {
		t.Errorf("failed %v, refused %v", failed, refused)
	}
	s.o.Failed, s.o.Refused = nil, nil
	report(nil, syscall.EMFILE)
}
