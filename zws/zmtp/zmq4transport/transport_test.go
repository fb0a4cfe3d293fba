package zmq4transport_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-zeromq/zmq4"
	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
	"github.com/zwsbridge/zwsbridge/zws/zmtp/zmq4transport"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// zmq4 never ends these: nothing calls pubMWriter.Close, and a qreader blocks on a
		// message that nobody receives any more.
		goleak.IgnoreAnyFunction("github.com/go-zeromq/zmq4.(*pubMWriter).run"),
		goleak.IgnoreTopFunction("github.com/go-zeromq/zmq4.(*qreader).listen"))
}

// credentials returns matching options for both sides of one mechanism.
func credentials(t testing.TB, m zap.Mechanism) zmq4transport.Options {
	t.Helper()
	o := zmq4transport.Options{
		Mechanism: m,
		Server:    zmtp.ServerSecurity{Domain: "devices"},
	}
	want := [][]byte{}
	switch m {
	case zap.NULL:
		o.Client = zmtp.Null{}
	case zap.PLAIN:
		o.Client = zmtp.Plain{User: "anna", Password: "secret"}
		want = [][]byte{[]byte("anna"), []byte("secret")}
	case zap.BEARER:
		o.Client = zmtp.Bearer{Token: "token"}
		want = [][]byte{[]byte("token")}
	case zap.CURVE:
		client := zmtp.Curve{}
		client.Public, client.Secret = newKeys(t)
		o.Server.CurvePublic, o.Server.CurveSecret = newKeys(t)
		client.ServerKey = o.Server.CurvePublic
		o.Client = client
		want = [][]byte{client.Public[:]}
	}
	o.Server.Handler = zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
		if r.Mechanism != m || !bytes.Equal(bytes.Join(r.Credentials, []byte{0}), bytes.Join(want, []byte{0})) {
			return nil, zap.ErrPass
		}
		return &zap.Reply{Status: zap.OK, UserID: "anna"}, nil
	})
	return o
}

func newKeys(t testing.TB) (public, secret [32]byte) {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(k.PublicKey().Bytes()), [32]byte(k.Bytes())
}

var registered atomic.Int64

// register registers a transport under a name of its own.
func register(t testing.TB, o zmq4transport.Options) string {
	t.Helper()
	name := fmt.Sprintf("test%d", registered.Add(1))
	if err := zmq4transport.Register(name, o); err != nil {
		t.Fatal(err)
	}
	return name
}

// open returns a socket that is closed at the end of the test.
func open(t testing.TB, kind func(context.Context, ...zmq4.Option) zmq4.Socket, o ...zmq4.Option) zmq4.Socket {
	t.Helper()
	s := kind(context.Background(), append(o, zmq4.WithDialerMaxRetries(0))...)
	t.Cleanup(func() { s.Close() })
	return s
}

// join makes a listen on scheme and b dial it.
func join(t testing.TB, scheme string, a, b zmq4.Socket) {
	t.Helper()
	if err := a.Listen(scheme + "://127.0.0.1:*"); err != nil {
		t.Fatal(err)
	}
	if err := b.Dial(scheme + "://" + a.Addr().String()); err != nil {
		t.Fatal(err)
	}
}

func send(t testing.TB, s zmq4.Socket, frames ...string) {
	t.Helper()
	msg := zmq4.Msg{}
	for _, f := range frames {
		msg.Frames = append(msg.Frames, []byte(f))
	}
	if err := s.SendMulti(msg); err != nil {
		t.Fatal(err)
	}
}

func expect(t testing.TB, s zmq4.Socket, want ...string) zmq4.Msg {
	t.Helper()
	msg, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(texts(msg), "|"); got != strings.Join(want, "|") {
		t.Fatalf("got %.100q, want %.100q", got, strings.Join(want, "|"))
	}
	return msg
}

func texts(msg zmq4.Msg) []string {
	var out []string
	for _, f := range msg.Frames {
		out = append(out, string(f))
	}
	return out
}

// patterns exchange messages between a socket that listens and one that dials.
var patterns = map[string]func(t *testing.T, connect func(a, b zmq4.Socket)){
	"DEALER dials ROUTER": func(t *testing.T, connect func(a, b zmq4.Socket)) {
		router, dealer := open(t, zmq4.NewRouter), open(t, zmq4.NewDealer, zmq4.WithID(zmq4.SocketIdentity("panel")))
		connect(router, dealer)
		routerAndDealer(t, router, dealer)
	},
	"ROUTER dials DEALER": func(t *testing.T, connect func(a, b zmq4.Socket)) {
		router, dealer := open(t, zmq4.NewRouter), open(t, zmq4.NewDealer, zmq4.WithID(zmq4.SocketIdentity("panel")))
		connect(dealer, router)
		routerAndDealer(t, router, dealer)
	},
	"REQ dials REP": func(t *testing.T, connect func(a, b zmq4.Socket)) {
		rep, req := open(t, zmq4.NewRep), open(t, zmq4.NewReq)
		connect(rep, req)
		requestAndReply(t, req, rep)
	},
	"REP dials REQ": func(t *testing.T, connect func(a, b zmq4.Socket)) {
		rep, req := open(t, zmq4.NewRep), open(t, zmq4.NewReq)
		connect(req, rep)
		requestAndReply(t, req, rep)
	},
	"SUB dials PUB": func(t *testing.T, connect func(a, b zmq4.Socket)) {
		pub, sub := open(t, zmq4.NewPub), open(t, zmq4.NewSub)
		connect(pub, sub)
		publish(t, pub, sub)
	},
	"PUB dials SUB": func(t *testing.T, connect func(a, b zmq4.Socket)) {
		pub, sub := open(t, zmq4.NewPub), open(t, zmq4.NewSub)
		connect(sub, pub)
		publish(t, pub, sub)
	},
	"PUSH dials PULL": func(t *testing.T, connect func(a, b zmq4.Socket)) {
		pull, push := open(t, zmq4.NewPull), open(t, zmq4.NewPush)
		connect(pull, push)
		send(t, push, "a", "b")
		expect(t, pull, "a", "b")
	},
	"PAIR dials PAIR": func(t *testing.T, connect func(a, b zmq4.Socket)) {
		a, b := open(t, zmq4.NewPair), open(t, zmq4.NewPair)
		connect(a, b)
		send(t, b, "from b")
		expect(t, a, "from b")
		send(t, a, "from a")
		expect(t, b, "from a")
	},
}

func routerAndDealer(t *testing.T, router, dealer zmq4.Socket) {
	t.Helper()
	large := strings.Repeat("x", 300_000)
	for range 3 {
		send(t, dealer, "ask", "", large)
		expect(t, router, "panel", "ask", "", large)
		send(t, router, "panel", "answer", large)
		expect(t, dealer, "answer", large)
	}
}

func requestAndReply(t *testing.T, req, rep zmq4.Socket) {
	t.Helper()
	// A REQ that listens knows its peer only some time after the peer's Dial has returned.
	for req.Send(zmq4.NewMsgString("first")) != nil {
		runtime.Gosched()
	}
	expect(t, rep, "first")
	send(t, rep, "answer")
	expect(t, req, "answer")
	for range 3 {
		send(t, req, "ask")
		expect(t, rep, "ask")
		send(t, rep, "answer", "more")
		expect(t, req, "answer", "more")
	}
}

func publish(t *testing.T, pub, sub zmq4.Socket) {
	t.Helper()
	if err := sub.SetOption(zmq4.OptionSubscribe, "house/"); err != nil {
		t.Fatal(err)
	}
	waitForTopic(t, pub, "house/")
	send(t, pub, "other/1", "not subscribed")
	send(t, pub, "house/1", "21.5")
	expect(t, sub, "house/1", "21.5")
	send(t, pub, "house/2", "22.5")
	expect(t, sub, "house/2", "22.5")
}

// waitForTopic waits until a publisher has received a subscription. zmq4 can only be polled for
// this.
func waitForTopic(t testing.TB, pub zmq4.Socket, topic string) {
	t.Helper()
	for {
		for _, got := range pub.(zmq4.Topics).Topics() {
			if got == topic {
				return
			}
		}
		if t.Context().Err() != nil {
			t.Fatal("no subscription")
		}
		runtime.Gosched()
	}
}

func TestPatterns(t *testing.T) {
	for _, m := range []zap.Mechanism{zap.NULL, zap.PLAIN, zap.BEARER, zap.CURVE} {
		scheme := register(t, credentials(t, m))
		for name, pattern := range patterns {
			t.Run(string(m)+" "+name, func(t *testing.T) {
				pattern(t, func(a, b zmq4.Socket) { join(t, scheme, a, b) })
			})
		}
	}
}

// TestAddresses checks ipc, a server key in the address, and invalid addresses.
func TestAddresses(t *testing.T) {
	o := credentials(t, zap.CURVE)
	scheme := register(t, o)
	addresses := map[string]string{"ipc": filepath.Join(t.TempDir(), "s")}
	if runtime.GOOS == "linux" {
		addresses["abstract"] = "@" + rand.Text()
	}
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) {
			pull, push := open(t, zmq4.NewPull), open(t, zmq4.NewPush)
			if err := errors.Join(pull.Listen(scheme+"://"+address), push.Dial(scheme+"://"+address)); err != nil {
				t.Fatal(err)
			}
			send(t, push, "a")
			expect(t, pull, "a")
		})
	}
	t.Run("server key", func(t *testing.T) {
		client := o.Client.(zmtp.Curve)
		key := client.ServerKey
		client.ServerKey, _ = newKeys(t)
		other := register(t, zmq4transport.Options{Client: client})
		pull, push := open(t, zmq4.NewPull), open(t, zmq4.NewPush)
		if err := pull.Listen(scheme + "://127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		address := other + "://" + pull.Addr().String()
		if err := push.Dial(address); !errors.Is(err, zmtp.ErrClosedBeforeWelcome) {
			t.Fatalf("without the key: got %v, want ErrClosedBeforeWelcome", err)
		}
		if err := push.Dial(address + "?server_key=" + hex.EncodeToString(key[:])); err != nil {
			t.Fatal(err)
		}
		send(t, push, "a")
		expect(t, pull, "a")
	})
	for name, address := range map[string]string{
		"no port":               "127.0.0.1",
		"short server key":      "127.0.0.1:1?server_key=00",
		"server key not in hex": "127.0.0.1:1?server_key=" + strings.Repeat("z", 64),
	} {
		t.Run(name, func(t *testing.T) {
			if err := open(t, zmq4.NewPush).Dial(scheme + "://" + address); err == nil || errors.Is(err, zmtp.ErrUnreachable) {
				t.Errorf("got %v, want an error about the address", err)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	if _, err := zmq4transport.New(zmq4transport.Options{}); err == nil {
		t.Error("New accepted Options without Client and Mechanism")
	}
	plain := credentials(t, zap.PLAIN)
	name := register(t, plain)
	if err := zmq4transport.Register(name, plain); err == nil {
		t.Error("a name was registered twice")
	}
	onlyDials := register(t, zmq4transport.Options{Client: plain.Client})
	if err := open(t, zmq4.NewPull).Listen(onlyDials + "://127.0.0.1:0"); err == nil {
		t.Error("Listen worked without Mechanism")
	}
	onlyListens := register(t, zmq4transport.Options{Mechanism: plain.Mechanism, Server: plain.Server})
	if err := open(t, zmq4.NewPush).Dial(onlyListens + "://127.0.0.1:1"); err == nil || errors.Is(err, zmtp.ErrUnreachable) {
		t.Error("Dial worked without Client")
	}
	if err := open(t, zmq4.NewPush).Dial(name + "://127.0.0.1:1?server_key=" + strings.Repeat("0", 64)); err == nil || errors.Is(err, zmtp.ErrUnreachable) {
		t.Errorf("a server key with PLAIN: %v", err)
	}
	open := register(t, zmq4transport.Options{Mechanism: zap.PLAIN, Server: zmtp.ServerSecurity{Domain: "d"}})
	pull := zmq4.NewPull(t.Context())
	defer pull.Close()
	if err := pull.Listen(open + "://127.0.0.1:0"); err == nil {
		t.Error("Listen worked without a ZAP handler")
	}
}
