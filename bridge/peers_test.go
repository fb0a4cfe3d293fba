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
	"github.com/zwsbridge/zwsbridge/internal/testport"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file has the backends of the tests: ZeroMQ peers, a ZAP handler, and TCP servers that speak
// something else. Each is stopped when its test ends, after a bridge that was started later.

// nativeKey is the CURVE key of backends, bridgeKey one that they accept, strangerKey one that they
// refuse.
var nativeKey, bridgeKey, strangerKey = newKey(), newKey(), newKey()

func newKey() *certs.Certificate {
	c, err := certs.New()
	if err != nil {
		panic(err)
	}
	return c
}

// nativeSecurity returns the security of a backend whose logins h decides on.
func nativeSecurity(h zap.HandlerFunc) zmtp.ServerSecurity {
	return zmtp.ServerSecurity{Handler: h, Domain: "native", CurvePublic: nativeKey.Public, CurveSecret: nativeKey.Secret}
}

// always returns a handler that gives every login the same status.
func always(status zap.Status) zap.HandlerFunc {
	return func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: status}, nil }
}

// hang is a handler that never decides.
func hang(ctx context.Context, _ *zap.Request) (*zap.Reply, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// checkLogin accepts the key of curveLogin, the user lamp with the password switch, and NULL.
func checkLogin(_ context.Context, r *zap.Request) (*zap.Reply, error) {
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

// listen starts a peer of the given type that authenticates connections with mechanism m and
// handler h. It calls serve for each in its own goroutine and closes the connection when serve
// returns.
func listen(t testing.TB, as zmtp.SocketType, m zap.Mechanism, h zap.HandlerFunc, serve func(*zmtp.Conn)) (endpoint string) {
	t.Helper()
	endpoint, stop := listenAt(t, "tcp://127.0.0.1:0", as, m, h, serve)
	t.Cleanup(stop)
	return endpoint
}

// listenAt is listen at a given endpoint; stop stops the peer.
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

// silentWith starts a peer that reads and sends nothing.
func silentWith(t testing.TB, as zmtp.SocketType, m zap.Mechanism, h zap.HandlerFunc) (endpoint string) {
	t.Helper()
	return listen(t, as, m, h, func(c *zmtp.Conn) {
		for {
			if _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	})
}

// silent is silentWith for a peer that accepts every login.
func silent(t testing.TB, as zmtp.SocketType) (endpoint string) {
	t.Helper()
	return silentWith(t, as, zap.NULL, always(zap.OK))
}

// echoBackend starts a peer that sends back what it gets; checkLogin decides on logins.
func echoBackend(t *testing.T, as zmtp.SocketType, m zap.Mechanism) (endpoint string) {
	t.Helper()
	return listen(t, as, m, checkLogin, func(c *zmtp.Conn) {
		for {
			m, err := c.ReadMessage()
			if err != nil || c.Write(m) != nil {
				return
			}
		}
	})
}

// echoRouter starts a ROUTER that accepts every login and sends back what it gets.
func echoRouter(t *testing.T) (endpoint string) {
	t.Helper()
	return echoBackend(t, zmtp.ROUTER, zap.NULL)
}

// peer is a native ZeroMQ peer that records what it gets and sends it back.
type peer struct {
	endpoint string
	messages chan zmtp.Message
	ids      chan string // the routing ids of connections
}

// startPeer starts a peer of the given type, which accepts every login.
func startPeer(t *testing.T, as zmtp.SocketType) *peer {
	t.Helper()
	p := &peer{messages: make(chan zmtp.Message, 1000), ids: make(chan string, 1000)}
	p.endpoint = listen(t, as, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
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

// publisher starts a PUB that publishes m continuously.
func publisher(t *testing.T, m zmtp.Message) (endpoint string) {
	t.Helper()
	return listen(t, zmtp.PUB, zap.NULL, always(zap.OK), publish(m))
}

// publish waits for a subscription, then writes m continuously.
func publish(m zmtp.Message) func(*zmtp.Conn) {
	return func(c *zmtp.Conn) {
		if _, err := c.ReadMessage(); err != nil { // the subscription
			return
		}
		for c.Write(m) == nil {
		}
	}
}

// broadcast starts a PUB of zmq4 that publishes on all topics continuously.
func broadcast(t *testing.T, topics ...string) (port string) {
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

// zapHandler starts a ZAP handler as a separate program would be one, by 27/ZAP over ZMTP.
func zapHandler(t *testing.T, decide func(*zap.Request) *zap.Reply) (endpoint string) {
	t.Helper()
	return listen(t, zmtp.ROUTER, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
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

// plainTCP starts a TCP server that calls serve for every connection, one after the other.
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

// unresponsive starts a TCP server that accepts connections and sends nothing.
func unresponsive(t *testing.T) (endpoint string) {
	var open []net.Conn
	t.Cleanup(func() { // runs after the cleanup of plainTCP
		for _, c := range open {
			c.Close()
		}
	})
	return plainTCP(t, func(c net.Conn) { open = append(open, c) })
}

// unusedEndpoint returns an endpoint where nothing listens.
func unusedEndpoint(t *testing.T) (endpoint string) {
	t.Helper()
	return "tcp://" + testport.Reserve(t)
}
