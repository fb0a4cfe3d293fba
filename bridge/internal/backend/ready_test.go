package backend

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// raw listens and calls serve for each connection.
func raw(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "tcp://" + l.Addr().String()
}

// greeting returns a ZMTP 3.0 greeting.
func greeting(mechanism string) []byte {
	g := make([]byte, 64)
	g[0], g[9], g[10] = 0xff, 0x7f, 3
	copy(g[12:32], mechanism)
	return g
}

// answer returns a server that greets, reads the peer's greeting and first command, writes reply
// and closes.
func answer(mechanism, reply string) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		c.Write(greeting(mechanism))
		io.ReadFull(c, make([]byte, 64+1))
		io.WriteString(c, reply)
		// Closing with unread bytes would reset the connection, and lose what was written.
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}
}

// closedPort returns an endpoint without a listener. Its port is the local end of a connection,
// so that nothing else can listen on it.
func closedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return "tcp://" + c.LocalAddr().String()
}

func mute(net.Conn) {}

func refusing(t testing.TB, s zap.Status) string {
	sec := open
	sec.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
		return &zap.Reply{Status: s}, nil
	})
	l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.PLAIN, sec, zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.PUB}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Endpoint()
}

// isKind reports whether err is an Error of that kind.
func isKind(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}

var plain = zmtp.Plain{User: "alice", Password: "secret"}

// backends returns one backend for each way to fail.
func backends(t testing.TB) map[string]struct {
	Endpoint
	kind   Kind
	status zap.Status
} {
	type row = struct {
		Endpoint
		kind   Kind
		status zap.Status
	}
	refused := func(e Endpoint) row { return row{e, KindRefused, zap.Refused} }
	return map[string]row{
		"closed port":           {at(closedPort(t), plain), KindUnreachable, 0},
		"unknown name":          {at("tcp://nowhere.invalid:5555", plain), KindUnreachable, 0},
		"no ipc socket":         {at("ipc://"+t.TempDir()+"/none", plain), KindUnreachable, 0},
		"mute":                  {at(raw(t, mute), plain), KindTimeout, 0},
		"silent after HELLO":    {at(raw(t, func(c net.Conn) { c.Write(greeting("PLAIN")) }), plain), KindTimeout, 0}, // as libzmq at ZAP 300
		"ZAP 300":               {at(refusing(t, zap.Temporary), plain), KindTimeout, 0},
		"ZAP 400":               refused(at(refusing(t, zap.Refused), plain)),
		"ZAP 500":               {at(refusing(t, zap.Internal), plain), KindRefused, zap.Internal},
		"ERROR":                 refused(at(raw(t, answer("PLAIN", "\x04\x0a\x05ERROR\x03400")), plain)),
		"^RROR":                 refused(at(raw(t, answer("PLAIN", "\x04\x09^RROR\x03400")), plain)),
		"ERROR with a text":     refused(at(raw(t, answer("PLAIN", "\x04\x0d\x05ERROR\x06gone  ")), plain)),
		"closes at once":        {at(raw(t, func(c net.Conn) { c.Close() }), plain), KindUnreachable, 0},
		"closes during login":   {at(raw(t, answer("PLAIN", "")), plain), KindUnreachable, 0},
		"closes before WELCOME": refused(at(raw(t, answer("CURVE", "")), zmtp.Curve{ServerKey: [32]byte{9}})),
		"other mechanism":       refused(at(newNative(t, zmtp.PUB).listener.Endpoint(), plain)),
		"other socket type":     refused(newNative(t, zmtp.PULL).endpoint()),
		"not ZMTP":              refused(at(raw(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n") }), plain)),
		"ZMTP 2.0":              refused(at(raw(t, func(c net.Conn) { c.Write([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x01\x00\x00")) }), plain)),
		"password too long":     refused(at(newNative(t, zmtp.PUB).listener.Endpoint(), zmtp.Plain{User: "a", Password: strings.Repeat("x", 256)})),
	}
}

// TestRefusals checks the error of each failing backend, and that a good backend is served at the
// same time.
func TestRefusals(t *testing.T) {
	good := newNative(t, zmtp.PUB)
	for name, bad := range backends(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(zmtp.SUB, good)
			o.Endpoints = append(o.Endpoints, bad.Endpoint)
			o.ConnectTimeout = 2 * time.Second
			_, err := Dial(t.Context(), o, newInbox())
			failure, ok := errors.AsType[*Error](err)
			if !ok || failure.Position != 2 {
				t.Fatalf("ready = all: error %v, want one of backend 2", err)
			}
			if failure.Kind != bad.kind || failure.Status() != bad.status {
				t.Errorf("ready = all: kind %d, ERROR %d; want %d, ERROR %d (%v)", failure.Kind, failure.Status(), bad.kind, bad.status, err)
			}
			o.Ready = Any
			s := dial(t, o, newInbox())
			eventually(t, "the bad one has failed", func() bool { return s.Status()[1].Err != nil })
			if status := s.Status(); status[0].State != Connected || (status[1].State == Refused) != (bad.kind == KindRefused) {
				t.Errorf("ready = any: %+v", status)
			}
		})
	}
}

// TestWhichFailureWins checks the order refused, timed out, not reached.
func TestWhichFailureWins(t *testing.T) {
	type endpoint = func(testing.TB) Endpoint
	refused := func(t testing.TB) Endpoint { return at(refusing(t, zap.Refused), plain) }
	late := func(t testing.TB) Endpoint { return at(raw(t, mute), plain) }
	unreachable := func(t testing.TB) Endpoint { return at(closedPort(t), plain) }
	for _, c := range []struct {
		name      string
		endpoints []endpoint
		position  int
		kind      Kind
	}{
		{"all three", []endpoint{unreachable, late, refused}, 3, KindRefused},
		{"reversed", []endpoint{refused, late, unreachable}, 1, KindRefused},
		{"late and unreachable", []endpoint{unreachable, late}, 2, KindTimeout},
		{"one unreachable", []endpoint{unreachable}, 1, KindUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(zmtp.SUB)
			o.Ready, o.ConnectTimeout = Any, time.Second/2
			for _, e := range c.endpoints {
				o.Endpoints = append(o.Endpoints, e(t))
			}
			_, err := Dial(t.Context(), o, newInbox())
			failure, ok := errors.AsType[*Error](err)
			if !ok || failure.Position != c.position || failure.Kind != c.kind {
				t.Errorf("error %v, want backend %d with %d", err, c.position, c.kind)
			}
		})
	}
}

// TestReadyNone checks that a socket that waits for no backend does not end when all refuse.
func TestReadyNone(t *testing.T) {
	o := options(zmtp.SUB)
	o.Ready = None
	o.Endpoints = []Endpoint{at(refusing(t, zap.Refused), plain), at(refusing(t, zap.Internal), plain)}
	s := dial(t, o, newInbox())
	eventually(t, "both have refused", func() bool { return s.d.allRefused() })
	subscribe(t, s, "topic")
	s.Close()
	if err := s.Subscribe(t.Context(), []byte("topic")); err != ErrClosed {
		t.Errorf("Subscribe after Close: %v, want ErrClosed", err)
	}
}

// allRefused is refused without the lock held.
func (d *dialer) allRefused() bool {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	return d.refused()
}

func TestDialEndsWithContext(t *testing.T) {
	o := options(zmtp.SUB)
	o.Endpoints = []Endpoint{at(raw(t, mute), plain)}
	ctx, cancel := context.WithCancel(t.Context())
	accepted := make(chan struct{}, 1)
	o.Endpoints[0].Address = raw(t, func(net.Conn) { accepted <- struct{}{} })
	go func() { <-accepted; cancel() }()
	if _, err := Dial(ctx, o, newInbox()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestOptions(t *testing.T) {
	e := []Endpoint{at("tcp://127.0.0.1:1", zmtp.Null{})}
	for name, o := range map[string]DialOptions{
		"no type":       {Endpoints: e},
		"unknown type":  {Options: Options{SocketType: "STREAM"}, Endpoints: e},
		"no endpoint":   {Options: Options{SocketType: zmtp.SUB}},
		"no mechanism":  {Options: Options{SocketType: zmtp.SUB}, Endpoints: []Endpoint{{Address: "tcp://127.0.0.1:1"}}},
		"two for PAIR":  {Options: Options{SocketType: zmtp.PAIR}, Endpoints: append(e, e...)},
		"bad address":   {Options: Options{SocketType: zmtp.SUB}, Endpoints: []Endpoint{at("udp://127.0.0.1:1", zmtp.Null{})}},
		"long identity": {Options: Options{SocketType: zmtp.DEALER, RoutingID: make([]byte, 256)}, Endpoints: e},
	} {
		if s, err := Dial(t.Context(), o, newInbox()); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	for _, s := range []zmtp.SocketType{zmtp.REP, zmtp.PAIR} {
		if _, err := Listen(ListenOptions{Options: Options{SocketType: s}, Addresses: []string{"tcp://127.0.0.1:0"}, Mechanism: zap.NULL, Security: open}); err == nil {
			t.Errorf("%s listens", s)
		}
		if _, err := DialShared(DialOptions{Options: Options{SocketType: s}, Endpoints: e}); err == nil {
			t.Errorf("%s is shared", s)
		}
	}
	if _, err := Listen(ListenOptions{Options: Options{SocketType: zmtp.PULL}, Addresses: []string{"tcp://127.0.0.1:0"}, Mechanism: zap.NULL}); err == nil {
		t.Error("listens without a ZAP handler")
	}
}
