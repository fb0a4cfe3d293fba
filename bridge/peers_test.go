package bridge_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// What the tests put behind the bridge: ZeroMQ peers, a ZAP handler, and TCP servers that
// are neither. Each ends with its test, after a bridge that was started later.

// The CURVE keys of this package's tests, made anew for each run.
var nativeKey, bridgeKey, strangerKey = newKey(), newKey(), newKey()

func newKey() *certs.Certificate {
	c, err := certs.New()
	if err != nil {
		panic(err)
	}
	return c
}

func nativeSecurity(h zap.HandlerFunc) zmtp.ServerSecurity {
	return zmtp.ServerSecurity{Handler: h, Domain: "native", CurvePublic: nativeKey.Public, CurveSecret: nativeKey.Secret}
}

func answer(status zap.Status) zap.HandlerFunc {
	return func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: status}, nil }
}

// hang is a handler that never decides.
func hang(ctx context.Context, _ *zap.Request) (*zap.Reply, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// known lets in who has the key that keyed has, or the password that is asked for here.
func known(_ context.Context, r *zap.Request) (*zap.Reply, error) {
	switch r.Mechanism {
	case zap.CURVE:
		if bytes.Equal(r.Credentials[0], bridgeKey.Public[:]) {
			return &zap.Reply{Status: zap.OK, UserID: "bridge"}, nil
		}
	case zap.PLAIN:
		if string(r.Credentials[0])+string(r.Credentials[1]) == "lampswitch" {
			return &zap.Reply{Status: zap.OK, UserID: "lamp"}, nil
		}
	case zap.NULL:
		return &zap.Reply{Status: zap.OK}, nil
	}
	return &zap.Reply{Status: zap.Refused}, nil
}

// listen is a peer of the given type that lets in, by mechanism m, whom h lets in. It does
// serve with all of them at the same time, and closes what serve is done with.
func listen(t testing.TB, as zmtp.SocketType, m zap.Mechanism, h zap.HandlerFunc, serve func(*zmtp.Conn)) (endpoint string) {
	t.Helper()
	endpoint, stop := listenAt(t, "tcp://127.0.0.1:0", as, m, h, serve)
	t.Cleanup(stop)
	return endpoint
}

// listenAt is listen for a peer that goes away before the test ends.
func listenAt(t testing.TB, endpoint string, as zmtp.SocketType, m zap.Mechanism, h zap.HandlerFunc, serve func(*zmtp.Conn)) (at string, stop func()) {
	t.Helper()
	o := zmtp.Options{SocketType: as, WriteTimeout: time.Minute, Limits: zmtp.Limits{Frame: 4 << 20, Message: 4 << 20}}
	l, err := zmtp.Listen(endpoint, m, nativeSecurity(h), zmtp.ListenOptions{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				serve(c)
			})
		}
	})
	return l.Endpoint(), func() {
		l.Close()
		cancel()
		running.Wait()
	}
}

// native is a peer that reads and says nothing.
func native(t testing.TB, as zmtp.SocketType, m zap.Mechanism, h zap.HandlerFunc) (endpoint string) {
	t.Helper()
	return listen(t, as, m, h, func(c *zmtp.Conn) {
		for {
			if _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	})
}

// silent is a native peer that lets everybody in.
func silent(t testing.TB, as zmtp.SocketType) (endpoint string) {
	t.Helper()
	return native(t, as, zap.NULL, answer(zap.OK))
}

// echoPeer sends those whom known lets in back what it gets.
func echoPeer(t *testing.T, as zmtp.SocketType, m zap.Mechanism) (endpoint string) {
	t.Helper()
	return listen(t, as, m, known, func(c *zmtp.Conn) {
		for {
			m, err := c.ReadMessage()
			if err != nil || c.Write(m) != nil {
				return
			}
		}
	})
}

// echoRouter is a ROUTER that sends everybody back what it gets.
func echoRouter(t *testing.T) (endpoint string) {
	t.Helper()
	return echoPeer(t, zmtp.ROUTER, zap.NULL)
}

// peer is a native ZeroMQ peer that notes what arrives, and answers with what it got.
type peer struct {
	endpoint string
	messages chan zmtp.Message
	ids      chan string // the routing id of each that connects
}

func peering(t *testing.T, as zmtp.SocketType) *peer {
	t.Helper()
	p := &peer{messages: make(chan zmtp.Message, 1000), ids: make(chan string, 1000)}
	p.endpoint = listen(t, as, zap.NULL, answer(zap.OK), func(c *zmtp.Conn) {
		p.ids <- string(c.Peer().RoutingID())
		for {
			m, err := c.ReadMessage()
			if err != nil {
				return
			}
			p.messages <- m
			if as == zmtp.PULL || as == zmtp.SUB {
				continue
			}
			if c.Write(m) != nil {
				return
			}
		}
	})
	return p
}

// publisher is a PUB that publishes m without end.
func publisher(t *testing.T, m zmtp.Message) (endpoint string) {
	t.Helper()
	return listen(t, zmtp.PUB, zap.NULL, answer(zap.OK), publish(m))
}

// publish writes m without end to who has subscribed to something.
func publish(m zmtp.Message) func(*zmtp.Conn) {
	return func(c *zmtp.Conn) {
		if _, err := c.ReadMessage(); err != nil { // the subscription
			return
		}
		for c.Write(m) == nil {
		}
	}
}

// station publishes under all topics without end, on zmq4's PUB.
func station(t *testing.T, topics ...string) (port string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	pub := zmq4.NewPub(ctx)
	if err := pub.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		for ctx.Err() == nil {
			for i := range 100 {
				if pub.Send(zmq4.NewMsgFrom([]byte(topics[i%len(topics)]), make([]byte, 100))) != nil {
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		pub.Close()
		sending.Wait()
	})
	_, port, _ = strings.Cut(pub.Addr().String(), ":")
	return port
}

// native27 is a ZAP handler elsewhere, as a program in another language would be one.
func native27(t *testing.T, decide func(*zap.Request) *zap.Reply) (endpoint string) {
	t.Helper()
	return listen(t, zmtp.ROUTER, zap.NULL, answer(zap.OK), func(c *zmtp.Conn) {
		for {
			m, err := c.ReadMessage()
			if err != nil {
				return
			}
			req, err := zap.ParseRequest(m[1:]) // after the delimiter
			if err != nil {
				return
			}
			reply, err := decide(req).Frames(req.ID)
			if err != nil || c.Write(append(zmtp.Message{nil}, reply...)) != nil {
				return
			}
		}
	})
}

// plainTCP listens and does serve with every connection, one after the other.
func plainTCP(t *testing.T, serve func(net.Conn)) (endpoint string) {
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
			serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "tcp://" + l.Addr().String()
}

// mute takes connections and says nothing.
func mute(t *testing.T) (endpoint string) {
	var open []net.Conn
	t.Cleanup(func() { // after that of plainTCP
		for _, c := range open {
			c.Close()
		}
	})
	return plainTCP(t, func(c net.Conn) { open = append(open, c) })
}

// nobody is an endpoint where nothing listens.
func nobody(t *testing.T) (endpoint string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "tcp://" + l.Addr().String()
}
