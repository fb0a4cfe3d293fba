package zmtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestCrowd checks that the slowest of many stalled peers is dropped for a new one, which does
// not have to wait for their deadlines.
func TestCrowd(t *testing.T) {
	l := logins(t)[0]
	synctest.Test(t, func(t *testing.T) {
		s := newEchoServer(t, l, ListenOptions{Options: Options{SocketType: ROUTER}, Handshakes: 2})
		first := s.pipes.dial()
		time.Sleep(crowdPatience - holdBack/2)
		second := s.pipes.dial()
		start := time.Now()
		good := s.client(t, l)
		checkEcho(t, good)
		if got := time.Since(start); got != holdBack/2 {
			t.Errorf("the good peer waited %v, want until the first had been waited for a second", got)
		}
		if err := <-s.ended; !errors.Is(err, errCrowded) {
			t.Errorf("a stalled peer ended with %v, want %v", err, errCrowded)
		}
		if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the first peer got %v, want EOF", err)
		}
		if _, err := second.Read(make([]byte, 1)); err != nil {
			t.Errorf("the second peer was dropped too: %v", err)
		}
		good.Close()
		s.close()
	})
}

// TestCrowdSparesGoodPeers checks that a peer is not dropped while the ZAP handler decides. New
// peers wait.
func TestCrowdSparesGoodPeers(t *testing.T) {
	l := logins(t)[0]
	synctest.Test(t, func(t *testing.T) {
		l := l
		l.server.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
			time.Sleep(time.Second)
			return &zap.Reply{Status: zap.OK}, nil
		})
		s := newEchoServer(t, l, ListenOptions{Options: Options{SocketType: ROUTER}, Handshakes: 1})
		start := time.Now()
		var peers sync.WaitGroup
		for range 3 {
			peers.Go(func() {
				c := s.client(t, l)
				checkEcho(t, c)
				c.Close()
			})
		}
		peers.Wait()
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("three logins of 1s, one at a time, took %v", got)
		}
		s.close()
	})
}

// TestCloseListener checks that Close drops handshakes in progress and peers that were not
// accepted.
func TestCloseListener(t *testing.T) {
	l := logins(t)[0]
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipeListener()
		o := ListenOptions{Handshakes: 5, Refused: func(_ net.Addr, err error) { t.Errorf("reported: %v", err) }}
		o.Options, _ = Options{SocketType: ROUTER}.withDefaults()
		listener := serve(pipes, l.mechanism, l.server, o)
		mute := pipes.dial()
		c, err := Client(t.Context(), pipes.dial(), l.client, Options{SocketType: DEALER})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		if _, err := mute.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the mute peer got %v, want EOF", err)
		}
		if _, err := c.ReadFrame(); !errors.Is(err, io.EOF) {
			t.Errorf("the peer that was not accepted got %v, want EOF", err)
		}
		if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: got %v, want net.ErrClosed", err)
		}
		if err := listener.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		c.Close()
	})
}

// brokenListener fails a few times, as if there were no file descriptors left.
type brokenListener struct {
	*pipeListener
	failures int
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, errors.New("too many open files")
	}
	return l.pipeListener.Accept()
}

func TestListenerSurvivesAcceptErrors(t *testing.T) {
	l := logins(t)[0]
	synctest.Test(t, func(t *testing.T) {
		pipes := &brokenListener{newPipeListener(), 20}
		reported := 0
		o := ListenOptions{Handshakes: 5, Refused: func(net.Addr, error) { reported++ }}
		o.Options, _ = Options{SocketType: ROUTER}.withDefaults()
		listener := serve(pipes, l.mechanism, l.server, o)
		c, err := Client(t.Context(), pipes.dial(), l.client, Options{SocketType: DEALER})
		if err != nil || reported != 20 {
			t.Errorf("got %v after %d reported failures, want none after 20", err, reported)
		}
		c.Close()
		listener.Close()
	})
}

// TestServerRequest checks what the ZAP handler and Admit are given.
func TestServerRequest(t *testing.T) {
	l := logins(t)[3]
	var asked *zap.Request
	var admitted *Peer
	decide := l.server.Handler
	l.server.Handler = zap.HandlerFunc(func(ctx context.Context, r *zap.Request) (*zap.Reply, error) {
		asked = r
		return decide.Authenticate(ctx, r)
	})
	l.server.Admit = func(_ context.Context, p *Peer) error {
		admitted = p
		return nil
	}
	for endpoint, want := range map[string]string{
		"tcp://127.0.0.1:0":                        "127.0.0.1",
		"ipc://" + filepath.Join(t.TempDir(), "s"): "",
	} {
		c, s, err := overListener(func(testing.TB) string { return endpoint })(t, l,
			Options{SocketType: DEALER, RoutingID: []byte("panel")}, Options{SocketType: ROUTER})
		if err != nil {
			t.Fatal(err)
		}
		if asked.Address != want || asked.Domain != "test" || string(asked.RoutingID) != "panel" {
			t.Errorf("%s: the ZAP request has the address %q, the domain %q and the routing id %q", endpoint, asked.Address, asked.Domain, asked.RoutingID)
		}
		if admitted != s.Peer() || string(admitted.RoutingID()) != "panel" {
			t.Errorf("%s: admitted %v", endpoint, admitted)
		}
		c.Close()
	}
}

// TestAdmitRefuses checks that the peer receives an ERROR instead of READY.
func TestAdmitRefuses(t *testing.T) {
	for _, l := range logins(t) {
		l.server.Admit = func(context.Context, *Peer) error { return &RefusedError{Status: zap.Internal} }
		_, _, err := overPipe(t, l, Options{SocketType: DEALER}, Options{SocketType: ROUTER})
		if refusal, ok := errors.AsType[*RefusedError](err); !ok || refusal.Status != zap.Internal {
			t.Errorf("%s: got %v, want a refusal with 500", l.mechanism, err)
		}
	}
}

// TestSocketTypeIsCheckedBeforeAdmit checks that Admit, which can be expensive, is not called
// for a peer whose socket type is not accepted.
func TestSocketTypeIsCheckedBeforeAdmit(t *testing.T) {
	for _, l := range logins(t) {
		l.server.Admit = func(context.Context, *Peer) error {
			t.Errorf("%s: asked", l.mechanism)
			return nil
		}
		_, _, err := overPipe(t, l, Options{SocketType: SUB}, Options{SocketType: ROUTER})
		if refusal, ok := errors.AsType[*RefusedError](err); !ok || refusal.Status != zap.Refused {
			t.Errorf("%s: got %v, want a refusal with 400", l.mechanism, err)
		}
	}
}

func TestIPCSocketFile(t *testing.T) {
	l := logins(t)[0]
	path := filepath.Join(t.TempDir(), "s")
	listen := func() (*Listener, error) {
		return Listen("ipc://"+path, l.mechanism, l.server, ListenOptions{Options: Options{SocketType: ROUTER}})
	}
	// A file that another process left behind.
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()

	first, err := listen()
	if err != nil {
		t.Fatalf("a socket file that nobody listens on was not replaced: %v", err)
	}
	if second, err := listen(); err == nil {
		second.Close()
		t.Error("two listeners on one path")
	}
	first.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket file still exists after Close: %v", err)
	}
	if err := os.WriteFile(path, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if third, err := listen(); err == nil {
		third.Close()
		t.Error("a file that is not a socket was replaced")
	}
}

// TestListenArguments checks that Listen fails on invalid arguments.
func TestListenArguments(t *testing.T) {
	good := logins(t)[0].server
	curve := logins(t)[3].server
	curve.CurveSecret = [32]byte{}
	for name, test := range map[string]struct {
		endpoint  string
		mechanism zap.Mechanism
		sec       ServerSecurity
		o         Options
	}{
		"endpoint":    {"udp://127.0.0.1:0", zap.NULL, good, Options{SocketType: SUB}},
		"mechanism":   {"tcp://127.0.0.1:0", "GSSAPI", good, Options{SocketType: SUB}},
		"handler":     {"tcp://127.0.0.1:0", zap.NULL, ServerSecurity{Domain: "d"}, Options{SocketType: SUB}},
		"keys":        {"tcp://127.0.0.1:0", zap.CURVE, curve, Options{SocketType: SUB}},
		"socket type": {"tcp://127.0.0.1:0", zap.NULL, good, Options{SocketType: "sub"}},
		"routing id":  {"tcp://127.0.0.1:0", zap.NULL, good, Options{SocketType: DEALER, RoutingID: make([]byte, 256)}},
		"address":     {"tcp://192.0.2.1:0", zap.NULL, good, Options{SocketType: SUB}},
	} {
		if l, err := Listen(test.endpoint, test.mechanism, test.sec, ListenOptions{Options: test.o}); err == nil {
			l.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// TestWrongCredentials checks the errors of both sides.
func TestWrongCredentials(t *testing.T) {
	for _, l := range logins(t) {
		switch c := l.client.(type) {
		case Null:
			l.server.Domain = "another"
		case Plain:
			c.Password = "wrong"
			l.client = c
		case Bearer:
			c.Token = "wrong"
			l.client = c
		case Curve:
			c.Public, c.Secret = testKeys(t)
			l.client = c
		}
		refused := make(chan error, 1)
		listener, err := Listen("tcp://127.0.0.1:0", l.mechanism, l.server, ListenOptions{
			Options: Options{SocketType: ROUTER},
			Refused: func(_ net.Addr, err error) { refused <- err },
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Dial(t.Context(), listener.Endpoint(), l.client, Options{SocketType: DEALER})
		for side, err := range map[string]error{"client": err, "server": <-refused} {
			if refusal, ok := errors.AsType[*RefusedError](err); !ok || refusal.Status != zap.Refused {
				t.Errorf("%s: the %s got %v, want a refusal with 400", l.mechanism, side, err)
			}
		}
		listener.Close()
	}
}

// TestWrongServerKey checks the error of a wrong server key over TCP.
func TestWrongServerKey(t *testing.T) {
	l := logins(t)[3]
	curve := l.client.(Curve)
	curve.ServerKey, _ = testKeys(t)
	l.client = curve
	_, _, err := overListener(func(testing.TB) string { return "tcp://127.0.0.1:0" })(t, l, Options{SocketType: DEALER}, Options{SocketType: ROUTER})
	if !errors.Is(err, ErrClosedBeforeWelcome) {
		t.Errorf("got %v, want ErrClosedBeforeWelcome", err)
	}
}

// TestMechanismMismatch checks the errors of both sides for every pair of different mechanisms.
func TestMechanismMismatch(t *testing.T) {
	all := logins(t)
	for _, server := range all {
		for _, client := range all {
			if server.mechanism == client.mechanism {
				continue
			}
			refused := make(chan error, 1)
			listener, err := Listen("tcp://127.0.0.1:0", server.mechanism, server.server, ListenOptions{
				Options: Options{SocketType: ROUTER},
				Refused: func(_ net.Addr, err error) { refused <- err },
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Dial(t.Context(), listener.Endpoint(), client.client, Options{SocketType: DEALER})
			if got, ok := errors.AsType[*MechanismError](err); !ok || *got != (MechanismError{client.mechanism, server.mechanism}) {
				t.Errorf("the %s client of a %s server got %v", client.mechanism, server.mechanism, err)
			}
			if got, ok := errors.AsType[*MechanismError](<-refused); !ok || *got != (MechanismError{server.mechanism, client.mechanism}) {
				t.Errorf("the %s server of a %s client got %v", server.mechanism, client.mechanism, got)
			}
			listener.Close()
		}
	}
}
