//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// counting is a PUB that publishes the numbers from 1 on with the topic n, to every bridge that has
// subscribed.
type counting struct {
	endpoint string
	n        atomic.Int64

	mu    sync.Mutex
	peers map[*zmtp.Conn]bool
}

func startCounting(t *testing.T) *counting {
	t.Helper()
	c := &counting{peers: make(map[*zmtp.Conn]bool)}
	accept := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: zap.OK}, nil })
	l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, zmtp.ServerSecurity{Domain: "native", Handler: accept},
		zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.PUB}})
	if err != nil {
		t.Fatal(err)
	}
	c.endpoint = l.Endpoint()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { c.serve(ctx, conn) })
		}
	})
	running.Go(func() {
		for ticker := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-ticker.C {
			c.publish()
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		running.Wait()
	})
	return c
}

// serve has a bridge among the peers while it is subscribed.
func (c *counting) serve(ctx context.Context, conn *zmtp.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.ReadMessage(); err != nil {
		return
	}
	c.mu.Lock()
	c.peers[conn] = true
	c.mu.Unlock()
	for {
		if _, err := conn.ReadMessage(); err != nil {
			break
		}
	}
	c.mu.Lock()
	delete(c.peers, conn)
	c.mu.Unlock()
}

func (c *counting) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n.Add(1)
	for conn := range c.peers {
		_ = conn.Write(zmtp.Message{[]byte("n"), fmt.Append(nil, n)})
	}
}

// tenant is a client that comes back as often as it is disconnected.
type tenant struct {
	name    string
	connect func(ctx context.Context, f *tenant) (receive func() (int, error), err error)

	received, visits atomic.Int64
	position         string
	told             atomic.Int64 // how often it was told that something is missing, and has not found that yet
	faults           chan string
}

// run follows the publisher until ctx ends.
func (f *tenant) run(ctx context.Context) {
	last := 0
	for ctx.Err() == nil {
		f.told.Store(0)
		receive, err := f.connect(ctx, f)
		if err == nil {
			f.visits.Add(1)
		}
		for err == nil {
			var n int
			if n, err = receive(); err != nil {
				break
			}
			f.received.Add(1)
			if f.position != "" && last > 0 && n != last+1 && f.told.Add(-1) < 0 {
				f.fault("%d follows %d, and it was not told that anything is missing", n, last)
			}
			last = n
		}
		if ctx.Err() != nil {
			return
		}
		closed, ok := errors.AsType[*zws.CloseError](err)
		if raw, isRaw := errors.AsType[*websocket.CloseError](err); isRaw {
			closed, ok = &zws.CloseError{Code: zws.Code(raw.Code), Reason: raw.Text, RetryAfter: time.Second}, true
		}
		if !ok || closed.Code != zws.CodeGoingAway || !strings.Contains(closed.Reason, "; retry in ") {
			f.fault("disconnected with %v, want 1001 with advice", err)
			return
		}
		select {
		case <-time.After(closed.RetryDelay()):
		case <-ctx.Done():
		}
	}
}

func (f *tenant) fault(format string, args ...any) {
	f.faults <- f.name + ": " + fmt.Sprintf(format, args...)
}

// notified notes what a client with a history is told.
func (f *tenant) notified(n zws.Notification) {
	if n.Lost > 0 || n.Resumed != nil && (n.Resumed.Gap || !n.Resumed.Recovered) {
		f.told.Add(1)
	}
}

// number returns that of a message.
func number(m zmtp.Message) (n int, err error) {
	_, err = fmt.Sscan(string(m[1]), &n)
	return n, err
}

var forAll = []byte("n")

// followKept follows /kept with a history, on a connection of its own or on a channel.
func followKept(url string, mux bool) func(context.Context, *tenant) (func() (int, error), error) {
	return func(ctx context.Context, f *tenant) (func() (int, error), error) {
		o := zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Null{}, History: true, Notify: f.notified, HandshakeTimeout: time.Minute}
		var c interface {
			Recv(context.Context) (zmtp.Message, error)
			Resume(ctx context.Context, position string, topics ...[]byte) error
			Position() string
		}
		if mux {
			o.SocketType, o.History = "", false
			m, err := zws.DialMux(ctx, url, o)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { m.Close() })
			if c, err = m.Open(ctx, zws.ChannelOptions{Route: "/kept", SocketType: zmtp.SUB, History: true}); err != nil {
				return nil, err
			}
		} else {
			client, err := zws.Dial(ctx, url, o)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { client.Close() })
			c = client
		}
		if err := c.Resume(ctx, f.position, forAll); err != nil {
			return nil, err
		}
		return func() (int, error) {
			m, err := c.Recv(ctx)
			if err != nil {
				return 0, err
			}
			f.position = c.Position()
			return number(m)
		}, nil
	}
}

// followPlain follows by ZWS2.0 without a history.
func followPlain(url string) func(context.Context, *tenant) (func() (int, error), error) {
	return func(ctx context.Context, f *tenant) (func() (int, error), error) {
		c, err := zws.Dial(ctx, url, zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Null{}, HandshakeTimeout: time.Minute})
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { c.Close() })
		if err := c.Subscribe(ctx, forAll); err != nil {
			return nil, err
		}
		return func() (int, error) {
			m, err := c.Recv(ctx)
			if err != nil {
				return 0, err
			}
			return number(m)
		}, nil
	}
}

// followRaw follows by a dialect without a library.
func followRaw(url, dialect string, hello ...string) func(context.Context, *tenant) (func() (int, error), error) {
	kind := websocket.BinaryMessage
	if dialect == "ZWSJSON1.0" {
		kind = websocket.TextMessage
	}
	return func(ctx context.Context, f *tenant) (func() (int, error), error) {
		d := websocket.Dialer{Subprotocols: []string{dialect}}
		ws, _, err := d.DialContext(ctx, url, nil)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { ws.Close() })
		for _, text := range hello {
			if err := ws.WriteMessage(kind, []byte(text)); err != nil {
				return nil, err
			}
		}
		return func() (int, error) {
			_, _, err := ws.ReadMessage()
			return 0, err
		}, nil
	}
}

// inboundPublisher publishes at a bind endpoint until ctx ends, and connects again when it is
// disconnected. It counts the connections.
func inboundPublisher(ctx context.Context, endpoint string, connected *atomic.Int64) {
	for ctx.Err() == nil {
		c, err := zmtp.Dial(ctx, endpoint, zmtp.Null{}, zmtp.Options{SocketType: zmtp.PUB})
		if err != nil {
			time.Sleep(10 * time.Millisecond) // as libzmq does
			continue
		}
		connected.Add(1)
		stop := context.AfterFunc(ctx, func() { c.Close() })
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for {
				if _, err := c.ReadMessage(); err != nil {
					return
				}
			}
		}()
		for err == nil {
			err = c.Write(zmtp.Message{[]byte("n"), []byte("0")})
			select {
			case <-time.After(5 * time.Millisecond):
			case <-gone:
				err = net.ErrClosed
			}
		}
		stop()
		c.Close()
		<-gone
	}
}
