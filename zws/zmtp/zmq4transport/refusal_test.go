package zmq4transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/plain"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
	"github.com/zwsbridge/zwsbridge/zws/zmtp/zmq4transport"
)

// TestRefusals checks that zmq4's Dial returns the typed errors of zmtp.
func TestRefusals(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()

	password, curve := credentials(t, zap.PLAIN), credentials(t, zap.CURVE)
	refused := func(err error) bool {
		refusal, ok := errors.AsType[*zmtp.RefusedError](err)
		return ok && refusal.Status == zap.Refused
	}
	is := func(want error) func(error) bool {
		return func(err error) bool { return errors.Is(err, want) }
	}
	stranger := curve.Client.(zmtp.Curve)
	stranger.Public, stranger.Secret = newKeys(t)
	misled := curve.Client.(zmtp.Curve)
	misled.ServerKey, _ = newKeys(t)
	tests := []struct {
		name   string
		server zmq4transport.Options
		client zmtp.ClientSecurity
		listen func(context.Context, ...zmq4.Option) zmq4.Socket
		to     net.Addr // dialled instead of the server, if not nil
		want   func(error) bool
	}{
		{"wrong password", password, zmtp.Plain{User: "anna", Password: "guess"}, zmq4.NewRouter, nil, refused},
		{"unknown CURVE key", curve, stranger, zmq4.NewRouter, nil, refused},
		{"wrong server key", curve, misled, zmq4.NewRouter, nil, is(zmtp.ErrClosedBeforeWelcome)},
		{"socket types that do not go together", curve, curve.Client, zmq4.NewPub, nil, refused},
		{"another mechanism", curve, password.Client, zmq4.NewRouter, nil, func(err error) bool {
			_, ok := errors.AsType[*zmtp.MechanismError](err)
			return ok
		}},
		{"nobody listens", curve, curve.Client, zmq4.NewRouter, gone.Addr(), is(zmtp.ErrUnreachable)},
		{"mute", curve, curve.Client, zmq4.NewRouter, mute.Addr(), is(zmtp.ErrHandshakeTimeout)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := open(t, test.listen)
			listens := register(t, test.server)
			if err := server.Listen(listens + "://127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			to, dialling := server.Addr(), zmq4transport.Options{Client: test.client}
			if test.to != nil {
				to, dialling.HandshakeTimeout = test.to, time.Second/4
			}
			dials := register(t, dialling)
			err := open(t, zmq4.NewDealer).Dial(dials + "://" + to.String())
			if err == nil || !test.want(err) {
				t.Errorf("Dial: %v", err)
			}
			if _, ok := errors.AsType[net.Error](err); ok && test.to == nil || errors.Is(err, io.EOF) {
				t.Errorf("zmq4 takes the error for a lost connection: %v", err)
			}
		})
	}
}

// TestSocketTypeIsChecked checks that the dialling side checks the socket type, because native
// peers do not.
func TestSocketTypeIsChecked(t *testing.T) {
	o := credentials(t, zap.NULL)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var peer sync.WaitGroup
	defer peer.Wait()
	peer.Go(func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, greeting(zap.NULL)+command("READY", property("Socket-Type", "PUB")))
		io.Copy(io.Discard, nc)
	})
	err = open(t, zmq4.NewDealer).Dial(register(t, o) + "://" + l.Addr().String())
	if mismatch, ok := errors.AsType[*zmtp.SocketTypeError](err); !ok || mismatch.Ours != zmtp.DEALER || mismatch.Peer != zmtp.PUB {
		t.Errorf("got %v, want a SocketTypeError of DEALER and PUB", err)
	}
}

// TestSocketTypeIsExplained checks that the error of Dial says so if a listener does not accept
// the socket type, with every mechanism and not only with the wrong credentials.
func TestSocketTypeIsExplained(t *testing.T) {
	for _, m := range []zap.Mechanism{zap.NULL, zap.PLAIN, zap.BEARER, zap.CURVE} {
		for _, c := range []struct {
			server, client func(context.Context, ...zmq4.Option) zmq4.Socket
			want           string
		}{
			{zmq4.NewPub, zmq4.NewDealer, "a DEALER socket cannot talk to a PUB peer"},
			{zmq4.NewRouter, zmq4.NewSub, "a SUB socket cannot talk to a ROUTER peer"},
			{zmq4.NewPush, zmq4.NewPush, "a PUSH socket cannot talk to a PUSH peer"},
		} {
			t.Run(string(m)+" "+c.want, func(t *testing.T) {
				o := credentials(t, m)
				refused := make(chan error, 1)
				o.Refused = func(_ net.Addr, err error) { refused <- err }
				scheme, server := register(t, o), open(t, c.server)
				if err := server.Listen(scheme + "://127.0.0.1:0"); err != nil {
					t.Fatal(err)
				}
				err := open(t, c.client).Dial(scheme + "://" + server.Addr().String())
				if _, ok := errors.AsType[*zmtp.SocketTypeError](err); !ok || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "400") {
					t.Errorf("Dial: %v, want %s", err, c.want)
				}
				if refusal, ok := errors.AsType[*zmtp.RefusedError](err); !ok || refusal.Status != zap.Refused {
					t.Errorf("Dial: %v, want a RefusedError with status 400 too", err)
				}
				if _, ok := errors.AsType[*zmtp.SocketTypeError](<-refused); !ok {
					t.Error("the listener does not report a SocketTypeError")
				}
			})
		}
	}
}

// TestSocketTypeStatus checks that a peer that does not ask for an explanation, as libzmq, gets
// an ERROR of exactly three bytes.
func TestSocketTypeStatus(t *testing.T) {
	router := open(t, zmq4.NewRouter)
	if err := router.Listen(register(t, credentials(t, zap.PLAIN)) + "://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	for properties, reason := range map[string]string{
		property("Socket-Type", "SUB"):                                               "\x03400",
		property("Socket-Type", "SUB") + property(zmtp.ExplainProperty, "1"):         "\x12Socket-Type:ROUTER",
		property("Socket-Type", "submarine") + property(zmtp.ExplainProperty, "yes"): "\x12Socket-Type:ROUTER",
	} {
		got, err := io.ReadAll(rawDialer(t, router.Addr(), plainLogin(properties)))
		if want := command("ERROR", reason); !strings.HasSuffix(string(got), want) {
			t.Errorf("the peer gets %q, %v, want %q at the end", got, err, want)
		}
	}
}

// TestSecurityOfZMQ4 checks that a socket with a zmq4.Security is refused.
func TestSecurityOfZMQ4(t *testing.T) {
	scheme := register(t, credentials(t, zap.PLAIN))
	pull := open(t, zmq4.NewPull)
	if err := pull.Listen(scheme + "://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	push := open(t, zmq4.NewPush, zmq4.WithSecurity(plain.Security("anna", "secret")))
	if err := push.Dial(scheme + "://" + pull.Addr().String()); err == nil {
		t.Error("a socket with a zmq4.Security was connected")
	}
}

// The bytes of a raw peer.

func greeting(m zap.Mechanism) string {
	return "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x01" + string(m) + strings.Repeat("\x00", 52-len(m))
}

func command(name, data string) string {
	body := zmtp.Command{Name: name, Data: []byte(data)}.Append(nil)
	return string(zmtp.AppendFrame(nil, zmtp.Frame{Command: true, Body: body}))
}

func property(name, value string) string {
	return string(zap.Metadata{{Name: name, Value: value}}.Append(nil))
}

func plainLogin(properties string) string {
	return greeting(zap.PLAIN) + command("HELLO", "\x04anna\x06secret") + command("INITIATE", properties)
}

// rawDialer connects and sends the given bytes.
func rawDialer(t *testing.T, addr net.Addr, send string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if _, err := io.WriteString(nc, send); err != nil {
		t.Fatal(err)
	}
	return nc
}

// TestHostilePeers checks that peers with a defect affect neither a good peer that is already
// connected nor one that connects later.
func TestHostilePeers(t *testing.T) {
	dealer := property("Socket-Type", "DEALER")
	hostile := map[string]string{
		"mute":                       "",
		"HTTP":                       "GET / HTTP/1.1\r\n\r\n",
		"ZMTP 2.0":                   "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x05\x00\x00",
		"another mechanism":          greeting(zap.NULL),
		"half a greeting":            greeting(zap.PLAIN)[:40],
		"greeting only":              greeting(zap.PLAIN),
		"HELLO only":                 greeting(zap.PLAIN) + command("HELLO", "\x04anna\x06secret"),
		"wrong password":             greeting(zap.PLAIN) + command("HELLO", "\x04anna\x05guess"),
		"no password":                greeting(zap.PLAIN) + command("HELLO", "\x04anna"),
		"READY for HELLO":            greeting(zap.PLAIN) + command("READY", dealer),
		"2^62 bytes for HELLO":       greeting(zap.PLAIN) + "\x06\x40\x00\x00\x00\x00\x00\x00\x00",
		"truncated metadata":         plainLogin("\x0bSocket-Type\x00\x00\x00\x09DEALER"),
		"metadata of 2^31-1 bytes":   plainLogin("\x0bSocket-Type\x7f\xff\xff\xffDEALER"),
		"metadata without a name":    plainLogin("\x00\x00\x00\x00\x00"),
		"no metadata":                plainLogin(""),
		"socket type not accepted":   plainLogin(property("Socket-Type", "SUB")),
		"2^62 bytes":                 plainLogin(dealer) + "\x02\x40\x00\x00\x00\x00\x00\x00\x00",
		"2^63 bytes":                 plainLogin(dealer) + "\x02\x80\x00\x00\x00\x00\x00\x00\x00",
		"frame over the limit":       plainLogin(dealer) + "\x02\x00\x00\x00\x00\x00\x10\x00\x01",
		"reserved flags":             plainLogin(dealer) + "\xf8\x00",
		"more frames than the limit": plainLogin(dealer) + strings.Repeat("\x01\x00", zmtp.DefaultFrames+1),
		"PING of 17 bytes":           plainLogin(dealer) + command("PING", "\x00\x00"+strings.Repeat("x", 17)),
		"empty command":              plainLogin(dealer) + "\x04\x00",
	}
	o := credentials(t, zap.PLAIN)
	scheme := register(t, o)
	router := open(t, zmq4.NewRouter)
	good := open(t, zmq4.NewDealer, zmq4.WithID(zmq4.SocketIdentity("good")))
	join(t, scheme, router, good)
	ask := func(name string, s zmq4.Socket) {
		send(t, s, "ask")
		for {
			msg, err := router.Recv()
			if err == nil && string(msg.Frames[0]) == name {
				break // otherwise it is the EOF of a hostile peer
			}
		}
		send(t, router, name, "answer")
		expect(t, s, "answer")
	}
	for name, sent := range hostile {
		t.Run(name, func(t *testing.T) {
			nc := rawDialer(t, router.Addr(), sent)
			ask("good", good)
			nc.Close()
		})
	}
	var stalled []net.Conn
	for range 50 {
		stalled = append(stalled, rawDialer(t, router.Addr(), greeting(zap.PLAIN)))
	}
	next := open(t, zmq4.NewDealer, zmq4.WithID(zmq4.SocketIdentity("next")))
	if err := next.Dial(scheme + "://" + router.Addr().String()); err != nil {
		t.Fatal(err)
	}
	ask("next", next)
	ask("good", good)
	for _, nc := range stalled {
		nc.Close()
	}
}

// TestPing checks that PING is answered and does not reach the application.
func TestPing(t *testing.T) {
	scheme := register(t, credentials(t, zap.PLAIN))
	router := open(t, zmq4.NewRouter)
	if err := router.Listen(scheme + "://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	context := strings.Repeat("c", 16)
	nc := rawDialer(t, router.Addr(), plainLogin(property("Socket-Type", "DEALER")+property("identity", "raw"))+
		command("PING", "\x00\x00"+context)+"\x00\x01a")
	var got []byte
	for want := command("PONG", context); !strings.HasSuffix(string(got), want); {
		b := make([]byte, 100)
		n, err := nc.Read(b)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, b[:n]...)
	}
	// Names of properties are case-insensitive in ZMTP.
	expect(t, router, "raw", "a")
}

// TestStalledSubscriber checks that a subscriber that does not read does not delay others.
func TestStalledSubscriber(t *testing.T) {
	o := credentials(t, zap.CURVE)
	o.HighWaterMark = 10
	scheme := register(t, o)
	pub, sub := open(t, zmq4.NewPub), open(t, zmq4.NewSub)
	join(t, scheme, pub, sub)
	stalled, err := zmtp.Dial(t.Context(), "tcp://"+pub.Addr().String(), o.Client, zmtp.Options{SocketType: zmtp.SUB})
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	if err := stalled.Subscribe([]byte("all/")); err != nil {
		t.Fatal(err)
	}
	if err := sub.SetOption(zmq4.OptionSubscribe, "all/tick"); err != nil {
		t.Fatal(err)
	}
	waitForTopic(t, pub, "all/")
	waitForTopic(t, pub, "all/tick")
	// Far more than the buffers of the system hold for a peer that does not read.
	large := strings.Repeat("x", 500_000)
	for range 40 {
		send(t, pub, "all/large", large)
		send(t, pub, "all/tick")
		expect(t, sub, "all/tick")
	}
}

// TestLostPeer checks that Recv returns io.EOF once for a lost peer.
func TestLostPeer(t *testing.T) {
	scheme := register(t, credentials(t, zap.CURVE))
	pull, push := open(t, zmq4.NewPull), open(t, zmq4.NewPush)
	join(t, scheme, pull, push)
	send(t, push, "a")
	expect(t, pull, "a")
	push.Close()
	if _, err := pull.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want io.EOF", err)
	}
	next := open(t, zmq4.NewPush)
	if err := next.Dial(scheme + "://" + pull.Addr().String()); err != nil {
		t.Fatal(err)
	}
	send(t, next, "b")
	expect(t, pull, "b")
}

// TestListenerEndsWithTheSocket checks that cancelling the context of a socket ends its
// listener.
func TestListenerEndsWithTheSocket(t *testing.T) {
	scheme := register(t, credentials(t, zap.CURVE))
	ctx, cancel := context.WithCancel(t.Context())
	pull := zmq4.NewPull(ctx)
	if err := pull.Listen(scheme + "://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	nc := rawDialer(t, pull.Addr(), "")
	cancel()
	for err := error(nil); err == nil; {
		_, err = nc.Read(make([]byte, 100)) // until the handshake is cancelled
	}
	if err := pull.Close(); err != nil {
		t.Error(err)
	}
}
