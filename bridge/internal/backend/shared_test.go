package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func listen(t testing.TB, ours zmtp.SocketType) *Shared {
	t.Helper()
	s, err := Listen(ListenOptions{
		Options: Options{SocketType: ours}, Addresses: []string{"tcp://127.0.0.1:0"},
		Mechanism: zap.NULL, Security: open,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// connectPeer connects a native peer and returns when it is one of the socket's peers.
func connectPeer(t testing.TB, s *Shared, o zmtp.Options) *zmtp.Conn {
	t.Helper()
	before := len(s.Status())
	c, err := zmtp.Dial(t.Context(), s.Endpoints()[0], zmtp.Null{}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	eventually(t, "the peer is connected", func() bool { return len(s.Status()) > before })
	return c
}

func attach(t testing.TB, s *Shared) (Socket, *inbox) {
	t.Helper()
	in := newInbox()
	x, err := s.Attach(in, AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x, in
}

// TestBindDealer checks that requests have an envelope, which REP and ROUTER peers return.
func TestBindDealer(t *testing.T) {
	s := listen(t, zmtp.DEALER)
	rep := connectPeer(t, s, zmtp.Options{SocketType: zmtp.REP})
	one, in1 := attach(t, s)
	two, in2 := attach(t, s)
	send(t, one, message("", "from one"))
	send(t, two, message("", "from two"))
	a, _ := rep.ReadMessage()
	b, _ := rep.ReadMessage()
	if len(a) != 3 || len(a[0]) != 9 || a[0][0] != 0 || text(a[1:]) != "|from one" || text(b[1:]) != "|from two" {
		t.Fatalf("requests %q and %q, want 00 and eight bytes, the delimiter and the text", a, b)
	}
	rep.Write(
		zmtp.Message{b[0], nil, []byte("to two")},
		zmtp.Message{a[0], nil, []byte("to one")},
		message("no envelope"), message("", "no envelope"), message("\x00abcdefgh", "", "unknown"), zmtp.Message{a[0]},
	)
	want(t, in1.next(t), "|to one")
	want(t, in2.next(t), "|to two")
	eventually(t, "the others are dropped", func() bool { return s.Stats().Unroutable == 4 })
	one.Close()
	rep.Write(zmtp.Message{a[0], nil, []byte("too late")}, zmtp.Message{b[0], nil, []byte("more")})
	want(t, in2.next(t), "|more")
	in1.empty(t)
	if err := one.Send(t.Context(), message("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("Send on a closed stream: %v, want ErrClosed", err)
	}
}

// TestBindReq checks that only the peer that has a stream's request can answer it, even if another
// one knows the envelope.
func TestBindReq(t *testing.T) {
	s := listen(t, zmtp.REQ)
	honest := connectPeer(t, s, zmtp.Options{SocketType: zmtp.ROUTER})
	hostile := connectPeer(t, s, zmtp.Options{SocketType: zmtp.REP})
	one, in1 := attach(t, s)
	two, in2 := attach(t, s)
	send(t, one, message("", "1"))
	send(t, two, message("", "2"))
	a, _ := honest.ReadMessage()
	b, _ := hostile.ReadMessage()
	hostile.Write(zmtp.Message{a[0], nil, []byte("forged")}, zmtp.Message{b[0], nil, []byte("B")})
	want(t, in2.next(t), "|B")
	honest.Write(zmtp.Message{a[0], nil, []byte("A")})
	want(t, in1.next(t), "|A")
	in1.empty(t)
}

func TestBindPushAndPull(t *testing.T) {
	t.Run("PUSH", func(t *testing.T) {
		s := listen(t, zmtp.PUSH)
		one, _ := attach(t, s)
		two, _ := attach(t, s)
		send(t, one, message("0")) // waits for a peer
		a := connectPeer(t, s, zmtp.Options{SocketType: zmtp.PULL})
		want(t, read(t, a), "0")
		b := connectPeer(t, s, zmtp.Options{SocketType: zmtp.PULL})
		send(t, one, message("1"))
		send(t, two, message("2"))
		send(t, one, message("3"))
		want(t, read(t, b), "1")
		want(t, read(t, a), "2")
		want(t, read(t, b), "3")
	})
	t.Run("PULL", func(t *testing.T) {
		s := listen(t, zmtp.PULL)
		a := connectPeer(t, s, zmtp.Options{SocketType: zmtp.PUSH})
		a.Write(message("0"), message("1"), message("2")) // wait for a stream
		_, in1 := attach(t, s)
		want(t, in1.next(t), "0")
		want(t, in1.next(t), "1")
		want(t, in1.next(t), "2")
		_, in2 := attach(t, s)
		a.Write(message("3"), message("4"), message("5"), message("6"))
		var got []string
		for range 4 {
			got = append(got, either(t, in1, in2))
		}
		want(t, sorted(got), "[3 4 5 6]")
	})
}

// either returns the next message of one of two inboxes.
func either(t *testing.T, a, b *inbox) string {
	t.Helper()
	select {
	case m := <-a.arrived:
		return text(m)
	case m := <-b.arrived:
		return text(m)
	case <-time.After(20 * time.Second): // only a failing test waits so long
		t.Fatal("nothing received")
	}
	panic("unreachable")
}

// TestBindSub checks that peers that connect receive the subscriptions, and that all that they
// publish is delivered. The socket serves one stream at a time, whose subscriptions end with it.
func TestBindSub(t *testing.T) {
	s := listen(t, zmtp.SUB)
	one, in1 := attach(t, s)
	subscribe(t, one, "a", "b")
	if x, err := s.Attach(newInbox(), AttachOptions{}); err == nil {
		x.Close()
		t.Error("a second stream is attached")
	}
	pub := connectPeer(t, s, zmtp.Options{SocketType: zmtp.PUB})
	want(t, sorted([]string{read(t, pub), read(t, pub)}), "[\x01a \x01b]")
	pub.Write(message("a"), message("matching is the fan-out's task"))
	want(t, in1.next(t), "a")
	want(t, in1.next(t), "matching is the fan-out's task")
	one.Close()
	want(t, read(t, pub), "\x00a")
	want(t, read(t, pub), "\x00b")
	pub.Write(message("a"))
	two, in2 := attach(t, s)
	subscribe(t, two, "b", "bc")
	want(t, read(t, pub), "\x01b")
	want(t, read(t, pub), "\x01bc")
	pub.Write(message("bcd"))
	for m := ""; m != "bcd"; { // "a" may arrive after the attach
		m = in2.next(t)
	}
	in1.empty(t)
}

// TestBindPub checks that all streams publish, and that each receives the peers' subscriptions,
// also one that is attached later.
func TestBindPub(t *testing.T) {
	s := listen(t, zmtp.PUB)
	one, in1 := attach(t, s)
	a := connectPeer(t, s, zmtp.Options{SocketType: zmtp.SUB})
	a.Subscribe([]byte("t"))
	want(t, in1.next(t), "\x01t")
	two, in2 := attach(t, s)
	want(t, in2.next(t), "\x01t")
	send(t, one, message("t1"), message("x"))
	want(t, read(t, a), "t1")
	send(t, two, message("t2"))
	want(t, read(t, a), "t2")
	a.Close()
	want(t, in1.next(t), "\x00t")
	want(t, in2.next(t), "\x00t")
}

// TestBindRefusals checks that peers are authenticated in the configured domain, and that refused
// ones do not affect those that are let in.
func TestBindRefusals(t *testing.T) {
	var mu sync.Mutex
	domains := make(map[string]bool)
	sec := zmtp.ServerSecurity{Domain: "devices", Handler: zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
		mu.Lock()
		defer mu.Unlock()
		domains[r.Domain] = true
		if user, password, _ := r.Plain(); user == "house" && password == "secret" {
			return &zap.Reply{Status: zap.OK, UserID: "house"}, nil
		}
		return &zap.Reply{Status: zap.Refused}, nil
	})}
	refused := make(chan error, 100)
	events := make(chan Status, 100)
	s, err := Listen(ListenOptions{
		Options:   Options{SocketType: zmtp.PULL, Limits: zmtp.Limits{Message: 1000}, Event: func(s Status) { events <- s }},
		Addresses: []string{"tcp://127.0.0.1:0", "ipc://" + t.TempDir() + "/socket"},
		Mechanism: zap.PLAIN, Security: sec, HandshakeTimeout: 2 * time.Second,
		Refused: func(_ string, err error) { refused <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	_, in := attach(t, s)
	endpoint := s.Endpoints()[0]
	good, err := zmtp.Dial(t.Context(), endpoint, zmtp.Plain{User: "house", Password: "secret"}, zmtp.Options{SocketType: zmtp.PUSH})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	if status := receiveWithin(t, events); status.State != Connected || status.User != "house" || status.Position != 0 {
		t.Errorf("event %+v", status)
	}
	for name, hostile := range refusedPeers(t, endpoint) {
		if err := hostile(); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := receiveWithin(t, refused); err == nil {
			t.Errorf("%s: refused without a reason", name)
		}
		good.Write(message(name))
		want(t, in.next(t), name)
	}
	over, err := zmtp.Dial(t.Context(), s.Endpoints()[1], zmtp.Plain{User: "house", Password: "secret"}, zmtp.Options{SocketType: zmtp.PUSH})
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	receiveWithin(t, events)
	over.Write(message(string(make([]byte, 1001))))
	if status := receiveWithin(t, events); status.State != Gone || !errors.Is(status.Err, zmtp.ErrTooLarge) {
		t.Errorf("event %+v, want Gone for a message too large", status)
	}
	good.Write(message("still here"))
	want(t, in.next(t), "still here")
	if len(domains) != 1 || !domains["devices"] {
		t.Errorf("ZAP requests for domains %v", domains)
	}
}

// refusedPeers returns ways to connect that a PULL with PLAIN at endpoint refuses.
func refusedPeers(t *testing.T, endpoint string) map[string]func() error {
	return map[string]func() error{
		"wrong password": func() error {
			_, err := zmtp.Dial(t.Context(), endpoint, zmtp.Plain{User: "house", Password: "wrong"}, zmtp.Options{SocketType: zmtp.PUSH})
			return err
		},
		"another mechanism": func() error {
			_, err := zmtp.Dial(t.Context(), endpoint, zmtp.Null{}, zmtp.Options{SocketType: zmtp.PUSH})
			return err
		},
		"another socket type": func() error {
			_, err := zmtp.Dial(t.Context(), endpoint, zmtp.Plain{User: "house", Password: "secret"}, zmtp.Options{SocketType: zmtp.SUB})
			return err
		},
		"not ZMTP": func() error {
			c, err := net.Dial("tcp", endpoint[len("tcp://"):])
			if err != nil {
				return err
			}
			defer c.Close()
			io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
			io.Copy(io.Discard, c)
			return errors.New("closed")
		},
	}
}

func TestMaxPeers(t *testing.T) {
	refused := make(chan error, 10)
	s, err := Listen(ListenOptions{
		Options: Options{SocketType: zmtp.PULL}, Addresses: []string{"tcp://127.0.0.1:0"}, Mechanism: zap.NULL, Security: open,
		MaxPeers: 2, Refused: func(_ string, err error) { refused <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	connectPeer(t, s, zmtp.Options{SocketType: zmtp.PUSH})
	connectPeer(t, s, zmtp.Options{SocketType: zmtp.PUSH})
	if len(refused) > 0 {
		t.Error("one of two was refused")
	}
	c, err := zmtp.Dial(t.Context(), s.Endpoints()[0], zmtp.Null{}, zmtp.Options{SocketType: zmtp.PUSH})
	if err == nil {
		defer c.Close()
	}
	receiveWithin(t, refused)
}

// TestSharedRequests has many streams send requests over one outgoing connection (share =
// "requests") at the same time.
func TestSharedRequests(t *testing.T) {
	n := newNative(t, zmtp.ROUTER)
	go n.echo()
	s, err := DialShared(options(zmtp.DEALER, n))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := wait(s, t.Context()); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			x, in := attach(t, s)
			defer x.Close()
			for j := range 50 {
				request := fmt.Sprintf("%d/%d", i, j)
				if err := x.Send(t.Context(), message("", request)); err != nil {
					t.Error(err)
					return
				}
				if got := in.next(t); got != "|"+request {
					t.Errorf("asked %q, got %q", request, got)
				}
			}
		})
	}
	clients.Wait()
	eventually(t, "all are counted", func() bool {
		got := s.Stats()
		return got.Sent == 1000 && got.Received == 1000 && got.Queued == 0
	})
}
