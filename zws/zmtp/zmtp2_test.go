package zmtp

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

// oldSignature is what a ZMTP 2.0 peer with a routing id of two bytes sends at once.
const oldSignature = "\xff\x00\x00\x00\x00\x00\x00\x00\x03\x7f"

// ourStart is the first part of a greeting of this side: the byte after the version is a socket
// type for ZMTP 2.0.
const ourStart = "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03"

// exchange2 is what a ZMTP 2.0 peer sends and, after each, what it must receive.
type exchange2 [][2]string

// oldPeer runs the exchange at the other end of the connection that it returns.
func oldPeer(t *testing.T, steps exchange2) net.Conn {
	t.Helper()
	a, b := net.Pipe()
	done, sent := make(chan struct{}), make(chan struct{})
	out := make(chan string, len(steps))
	go func() { // both sides of a connection can write at the same time
		defer close(sent)
		for s := range out {
			if _, err := b.Write([]byte(s)); err != nil {
				t.Error(err)
			}
		}
	}()
	go func() {
		defer close(done)
		defer func() { close(out); <-sent; b.Close() }()
		for _, s := range steps {
			out <- s[0]
			got := make([]byte, len(s[1]))
			for n := 0; n < len(got); {
				k, err := b.Read(got[n:])
				if err != nil {
					t.Errorf("after %q the peer receives %q and %v, want %q", s[0], got[:n], err, s[1])
					return
				}
				n += k
			}
			if string(got) != s[1] {
				t.Errorf("after %q the peer receives %q, want %q", s[0], got, s[1])
			}
		}
	}()
	t.Cleanup(func() { a.Close(); <-done })
	return a
}

// TestOlderPeers serves ZMTP 2.0 peers, as both sides.
func TestOlderPeers(t *testing.T) {
	for name, tc := range map[string]struct {
		ours   Options
		listen bool
		steps  exchange2
		peer   SocketType
		id     string
		send   Message
		want   []Message
	}{
		"dialled, in steps as libzmq 3.2": {
			ours:  Options{SocketType: SUB},
			steps: exchange2{{oldSignature, ourStart}, {"\x01", "\x02\x00\x00"}, {"\x01\x00\x02id", "\x00\x01\x01"}, {"\x01\x01a\x02\x00\x00\x00\x00\x00\x00\x00\x01b", ""}},
			peer:  PUB, id: "id", send: nil, want: []Message{{[]byte("a"), []byte("b")}},
		},
		"dialled, all at once": {
			ours:  Options{SocketType: DEALER, RoutingID: []byte("me")},
			steps: exchange2{{oldSignature + "\x01\x06\x00\x00" + "\x00\x01x", ourStart + "\x05\x00\x02me" + "\x00\x01y"}},
			peer:  ROUTER, send: Message{[]byte("y")}, want: []Message{{[]byte("x")}},
		},
		"revision 2": {
			ours:  Options{SocketType: REQ},
			steps: exchange2{{oldSignature + "\x02\x04\x00\x00", ourStart + "\x03\x00\x00"}},
			peer:  REP,
		},
		"inbound, in steps": {
			ours: Options{SocketType: XPUB}, listen: true,
			steps: exchange2{{oldSignature, ourStart}, {"\x01", "\x01\x00\x00"}, {"\x02\x00\x02id", ""}, {"\x00\x02\x01t", "\x01\x01t\x00\x01v"}},
			peer:  SUB, id: "id", send: Message{[]byte("t"), []byte("v")}, want: []Message{{[]byte("\x01t")}},
		},
		"inbound, with the type of libzmq's XSUB": {
			ours: Options{SocketType: PUB}, listen: true,
			steps: exchange2{{oldSignature + "\x01\x0a\x00\x00", ourStart + "\x01\x00\x00"}},
			peer:  XSUB,
		},
		"inbound PUSH": {
			ours: Options{SocketType: PULL}, listen: true,
			steps: exchange2{{oldSignature + "\x01\x08\x00\x00\x00\x00", ourStart + "\x07\x00\x00"}},
			peer:  PUSH, want: []Message{{{}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.ours.ZMTP2 = true
			nc := oldPeer(t, tc.steps)
			var c *Conn
			var err error
			var asked *zap.Request
			if tc.listen {
				handler := zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
					asked = r
					return &zap.Reply{Status: zap.OK, UserID: "old"}, nil
				})
				c, err = Server(t.Context(), nc, zap.NULL, ServerSecurity{Handler: handler, Domain: "devices"}, tc.ours)
			} else {
				c, err = Client(t.Context(), nc, Null{}, tc.ours)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := c.Peer(); got.SocketType() != tc.peer || string(got.RoutingID()) != tc.id || got.Mechanism != zap.NULL {
				t.Errorf("peer %+v, want a %s", got, tc.peer)
			}
			if tc.listen && (asked == nil || asked.Mechanism != zap.NULL || asked.Domain != "devices" || string(asked.RoutingID) != tc.id || c.Peer().Reply.UserID != "old") {
				t.Errorf("the ZAP handler was asked %+v", asked)
			}
			if tc.ours.SocketType == SUB {
				if err := c.Subscribe(nil); err != nil {
					t.Error(err)
				}
			}
			for _, want := range tc.want {
				m, err := c.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, m); diff != "" {
					t.Error(diff)
				}
			}
			if tc.send != nil {
				if err := c.Write(tc.send); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestOlderPeersRefused checks what is not taken.
func TestOlderPeersRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		o    Options
		sec  ClientSecurity // nil for a side that listens
		sent string
		want error
	}{
		"without the option":      {Options{SocketType: SUB}, Null{}, oldSignature + "\x01\x01\x00\x00", ErrVersion},
		"another mechanism":       {Options{SocketType: SUB, ZMTP2: true}, Plain{"u", "p"}, oldSignature + "\x01\x01\x00\x00", ErrVersion},
		"ZMTP 1.0":                {Options{SocketType: SUB, ZMTP2: true}, Null{}, "\x01\x00", ErrVersion},
		"HTTP":                    {Options{SocketType: SUB, ZMTP2: true}, Null{}, "HTTP/1.1 400", ErrNotZMTP},
		"wrong type":              {Options{SocketType: SUB, ZMTP2: true}, Null{}, oldSignature + "\x01\x08\x00\x00", &SocketTypeError{}},
		"wrong type that dials":   {Options{SocketType: PUB, ZMTP2: true}, nil, oldSignature + "\x01\x08\x00\x00", &SocketTypeError{}},
		"unknown type":            {Options{SocketType: SUB, ZMTP2: true}, Null{}, oldSignature + "\x01\x0b\x00\x00", ErrProtocol},
		"routing id of two parts": {Options{SocketType: SUB, ZMTP2: true}, Null{}, oldSignature + "\x01\x01\x01\x00", ErrProtocol},
		"long routing id":         {Options{SocketType: SUB, ZMTP2: true}, Null{}, oldSignature + "\x01\x01\x02\x00\x00\x00\x00\x00\x00\x01\x00", ErrProtocol},
		"cut off":                 {Options{SocketType: SUB, ZMTP2: true}, Null{}, oldSignature + "\x01\x01", ErrClosedBeforeGreeting},
		"refused by ZAP":          {Options{SocketType: PUB, ZMTP2: true}, nil, oldSignature + "\x01\x02\x00\x00", &RefusedError{}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			done := make(chan struct{})
			go func() { // reads all the time
				defer close(done)
				buf := make([]byte, 100)
				for {
					if _, err := b.Read(buf); err != nil {
						return
					}
				}
			}()
			go func() { _, _ = b.Write([]byte(tc.sent)); b.Close() }()
			var err error
			if tc.sec != nil {
				_, err = Client(t.Context(), a, tc.sec, tc.o)
			} else {
				refuse := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
					if name == "refused by ZAP" {
						return &zap.Reply{Status: zap.Refused}, nil
					}
					return &zap.Reply{Status: zap.OK}, nil
				})
				_, err = Server(t.Context(), a, zap.NULL, ServerSecurity{Handler: refuse, Domain: "d"}, tc.o)
			}
			<-done
			ok := errors.Is(err, tc.want)
			switch tc.want.(type) {
			case *SocketTypeError:
				_, ok = errors.AsType[*SocketTypeError](err)
			case *RefusedError:
				_, ok = errors.AsType[*RefusedError](err)
			}
			if !ok {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

// TestOlderTraffic checks that a command of a ZMTP 2.0 peer is an error.
func TestOlderTraffic(t *testing.T) {
	nc := oldPeer(t, exchange2{{oldSignature + "\x01\x01\x00\x00" + command("PING", "\x00\x00"), ourStart + "\x02\x00\x00"}})
	c, err := Client(t.Context(), nc, Null{}, Options{SocketType: SUB, ZMTP2: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadFrame(); !errors.Is(err, ErrProtocol) {
		t.Errorf("%v, want a protocol error", err)
	}
}

// TestZMTP2Option checks that peers of ZMTP 3 notice nothing of the option.
func TestZMTP2Option(t *testing.T) {
	for _, l := range logins(t) {
		for _, both := range []bool{true, false} {
			c, s, err := overPipe(t, l, Options{SocketType: DEALER, ZMTP2: true}, Options{SocketType: ROUTER, ZMTP2: both})
			if err != nil {
				t.Fatalf("%s: %v", l.mechanism, err)
			}
			if c.minor != ourMinor || s.minor != ourMinor {
				t.Errorf("%s: ZMTP 3.%d and 3.%d", l.mechanism, c.minor, s.minor)
			}
			if _, _, err := overPipe(t, l, Options{SocketType: DEALER, ZMTP2: !both}, Options{SocketType: ROUTER, ZMTP2: true}); err != nil {
				t.Fatalf("%s: %v", l.mechanism, err)
			}
		}
	}
}
