package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zwsbridge/zwsbridge/internal/poll"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// poller watches the idle connections of the tests that use options; nil on systems without one.
var poller *poll.Poller

func TestMain(m *testing.M) {
	idleAfter = time.Millisecond
	poller, _ = poll.New()
	goleak.VerifyTestMain(m,
		// A PUB of zmq4 v0.17.0 never stops its writer.
		goleak.IgnoreAnyFunction("github.com/go-zeromq/zmq4.(*pubMWriter).run"),
		goleak.IgnoreAnyFunction("github.com/zwsbridge/zwsbridge/internal/poll.(*Poller).run"))
}

// anyone accepts every peer.
var anyone = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
	return &zap.Reply{Status: zap.OK, UserID: "anyone"}, nil
})

var open = zmtp.ServerSecurity{Handler: anyone, Domain: "test"}

// native is a ZeroMQ peer that listens. The test acts as its socket.
type native struct {
	t        testing.TB
	listener *zmtp.Listener
	o        zmtp.Options
}

// listenNative listens on endpoint, or on a free port if it is empty.
func listenNative(t testing.TB, o zmtp.Options, endpoint string) *native {
	t.Helper()
	if endpoint == "" {
		endpoint = "tcp://127.0.0.1:0"
	}
	l, err := zmtp.Listen(endpoint, zap.NULL, open, zmtp.ListenOptions{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &native{t, l, o}
}

func newNative(t testing.TB, s zmtp.SocketType) *native {
	return listenNative(t, zmtp.Options{SocketType: s}, "")
}

// at returns the endpoint of an address and how to log in there.
func at(address string, security zmtp.ClientSecurity) Endpoint {
	return Endpoint{Address: address, Security: security}
}

func (n *native) endpoint() Endpoint { return at(n.listener.Endpoint(), zmtp.Null{}) }

// accept returns the next connection.
func (n *native) accept() *zmtp.Conn {
	n.t.Helper()
	c, err := n.listener.Accept()
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	return c
}

// echo sends each message back until the connection ends.
func (n *native) echo() {
	for {
		c, err := n.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			for {
				m, err := c.ReadMessage()
				if err != nil {
					c.Close()
					return
				}
				batch := []zmtp.Message{m}
				for c.Buffered() {
					if m, err = c.ReadMessage(); err != nil {
						break
					}
					batch = append(batch, m)
				}
				if c.Write(batch...) != nil {
					c.Close()
					return
				}
			}
		}()
	}
}

// inbox is a Receiver that keeps its messages.
type inbox struct {
	mu      sync.Mutex
	arrived chan zmtp.Message
	flushed int
	done    chan struct{}
}

func newInbox() *inbox {
	return &inbox{arrived: make(chan zmtp.Message, 10000), done: make(chan struct{})}
}

func clone(m zmtp.Message) zmtp.Message {
	c := make(zmtp.Message, len(m))
	for i, f := range m {
		c[i] = bytes.Clone(f)
	}
	return c
}

func (b *inbox) Message(m zmtp.Message) error {
	select {
	case b.arrived <- clone(m):
		return nil
	case <-b.done:
		return errors.New("closed")
	}
}

// Discarded records what is known of the message, after "discarded".
func (b *inbox) Discarded(m zmtp.Message) {
	_ = b.Message(append(message("discarded"), m...))
}

func (b *inbox) Flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flushed++
}

// next returns the next message as text, frames joined by "|".
func (b *inbox) next(t testing.TB) string {
	t.Helper()
	return text(receiveWithin(t, b.arrived))
}

func receiveWithin[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second): // only a failing test waits so long
		t.Fatal("nothing received")
	}
	panic("unreachable")
}

func (b *inbox) empty(t testing.TB) {
	t.Helper()
	select {
	case m := <-b.arrived:
		t.Errorf("unexpected message %q", text(m))
	default:
	}
}

func text(m zmtp.Message) string { return string(bytes.Join(m, []byte("|"))) }

func message(frames ...string) zmtp.Message {
	m := make(zmtp.Message, len(frames))
	for i, f := range frames {
		m[i] = []byte(f)
	}
	return m
}

func dial(t testing.TB, o DialOptions, r Receiver) *Dedicated {
	t.Helper()
	s, err := Dial(t.Context(), o, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func options(t zmtp.SocketType, natives ...*native) DialOptions {
	o := DialOptions{Options: Options{SocketType: t, Poller: poller}, Ready: All, Backoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond}
	for _, n := range natives {
		o.Endpoints = append(o.Endpoints, n.endpoint())
	}
	return o
}

func send(t testing.TB, s Socket, msgs ...zmtp.Message) {
	t.Helper()
	if err := s.Send(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t testing.TB, s Socket, topics ...string) {
	t.Helper()
	if err := s.Subscribe(t.Context(), message(topics...)...); err != nil {
		t.Fatal(err)
	}
}

func unsubscribe(t testing.TB, s Socket, topics ...string) {
	t.Helper()
	if err := s.Unsubscribe(t.Context(), message(topics...)...); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, c *zmtp.Conn) string {
	t.Helper()
	m, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return text(m)
}

func want(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 20000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("never: " + what)
}

func sorted(list []string) string {
	slices.Sort(list)
	return fmt.Sprint(list)
}
