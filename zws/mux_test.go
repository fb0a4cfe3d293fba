package zws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func muxOptions() zws.Options {
	o := options()
	o.Multiplex = true
	return o
}

// echoChannel serves a channel. It echoes, but
//
//	/refuse   closes with 4403 instead of opening
//	/deaf     reads nothing
//	/flood    sends without end
func echoChannel(p *zws.PendingChannel) {
	if p.Request().Route == "/refuse" {
		p.Reject(&zws.CloseError{Code: zws.CodeForbidden, Reason: "not for you"})
		return
	}
	c, err := p.Accept(zws.AcceptOptions{})
	if err != nil {
		return
	}
	c.Close(runChannel(c))
}

func runChannel(c *zws.Channel) error {
	switch c.Request().Route {
	case "/deaf":
		<-c.Context().Done()
		return nil
	case "/flood":
		c.Attach(flood{})
	}
	q := &queue{channel: c}
	if c.Request().Route != "/flood" {
		c.Attach(q)
	}
	for {
		m, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if len(m) == 2 && string(m[0]) == "close" {
			return &zws.CloseError{Code: zws.CodeExpired, Reason: string(m[1])}
		}
		q.put(m)
	}
}

// flood is a Source that is never empty.
type flood struct{}

func (flood) Next(b *zws.Batch) {
	for !b.Full() {
		b.Message(message("flood", strings.Repeat("x", 1000)), nil)
	}
}

func serveMux(t testing.TB, o zws.Options) *server { return serveMuxWith(t, o, echoChannel) }

// serveMuxWith runs another function than echoChannel for each channel.
func serveMuxWith(t testing.TB, o zws.Options, run func(*zws.PendingChannel)) *server {
	return serveWith(t, o, plain, accept, func(conn *zws.Conn) {
		var channels sync.WaitGroup
		defer channels.Wait()
		defer conn.Wait()
		for {
			p, err := conn.NextChannel(context.Background())
			if err != nil {
				return
			}
			channels.Go(func() { run(p) })
		}
	})
}

func dialMux(t testing.TB, s *server) *zws.MuxClient {
	t.Helper()
	c, err := zws.DialMux(t.Context(), s.url(), zws.DialOptions{Security: zmtp.Plain{User: "alice"}, HandshakeTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func open(t testing.TB, m *zws.MuxClient, o zws.ChannelOptions) *zws.MuxChannel {
	t.Helper()
	c, err := m.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// roundTrip sends a message and waits for the same.
func roundTrip(t testing.TB, c *zws.MuxChannel, frames ...string) {
	t.Helper()
	if err := c.Send(t.Context(), message(frames...)); err != nil {
		t.Fatal(err)
	}
	m, err := c.Recv(t.Context())
	if err != nil || fmt.Sprintf("%q", m) != fmt.Sprintf("%q", frames) {
		t.Fatalf("%.100q, %v; want %.100q", m, err, frames)
	}
}

// TestMuxChannels: a hundred channels on one connection, all in use at once; one more is
// refused.
func TestMuxChannels(t *testing.T) {
	s := serveMux(t, muxOptions())
	m := dialMux(t, s)
	var channels []*zws.MuxChannel
	for range zws.DefaultMaxChannels {
		channels = append(channels, open(t, m, zws.ChannelOptions{Route: "/echo"}))
	}
	_, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/echo"})
	if closed, ok := errors.AsType[*zws.CloseError](err); !ok || closed.Code != zws.CodeTooMany {
		t.Errorf("one more: %v, want 4429", err)
	}
	var all sync.WaitGroup
	for i, c := range channels {
		all.Go(func() {
			for n := range 20 {
				want := fmt.Sprintf("%d of channel %d", n, i)
				if err := c.Send(t.Context(), message(want, "")); err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Recv(t.Context()); err != nil || string(got[0]) != want {
					t.Errorf("%q, %v; want %s", got, err, want)
					return
				}
			}
		})
	}
	all.Wait()
	if err := channels[0].Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := channels[0].Recv(t.Context()); err != io.EOF {
		t.Errorf("closed: %v", err)
	}
	roundTrip(t, open(t, m, zws.ChannelOptions{Route: "/echo"}), "in its place")
}

// TestMuxSlow: a channel whose client does not read, and one whose server does not, do not
// stall others.
func TestMuxSlow(t *testing.T) {
	s := serveMux(t, muxOptions())
	m := dialMux(t, s)
	flooded := open(t, m, zws.ChannelOptions{Route: "/flood", Window: 10_000})
	deaf := open(t, m, zws.ChannelOptions{Route: "/deaf"})
	good := open(t, m, zws.ChannelOptions{Route: "/echo"})
	ctx, cancel := context.WithCancel(t.Context())
	stuck := make(chan error)
	go func() {
		for {
			if err := deaf.Send(ctx, message(strings.Repeat("x", 10_000))); err != nil {
				stuck <- err
				return
			}
		}
	}()
	for n := range 200 {
		roundTrip(t, good, fmt.Sprint(n), strings.Repeat("y", 10_000))
	}
	for range 100 { // what is flooded comes as soon as it is asked for
		if _, err := flooded.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-stuck; err != context.Canceled {
		t.Errorf("the deaf channel ended with %v", err)
	}
}

// TestMuxCredit: the bytes on the wire. Without credit nothing is sent; one message may exceed
// it; the rest comes with the next credit, in order.
func TestMuxCredit(t *testing.T) {
	p := serveMux(t, muxOptions()).dialRaw(t, "/", offering("ZWSMUX1.0"))
	p.send("\x01\x05PLAIN\x05alice\x00")
	p.expect("\x02\x00\x00\x00\x64")
	p.send("\x03\x00\x00\x00\x07\x00\x00\x00\x00\x03REQ\x02me\x00\x05/echo")
	p.expect("\x04\x00\x00\x00\x07\x00\x01\x00\x00")
	const one, two, three = "\x00\x00\x00\x05\x00\x00\x00\x01a", "\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x01b", "\x00\x00\x00\x05\x00\x00\x00\x01c"
	p.send("\x05\x00\x00\x00\x07" + one + two + three)
	p.send("\x03\x00\x00\x00\x09\x00\x00\x10\x00\x00\x00\x00\x05/echo") // another, while the first waits
	p.expect("\x04\x00\x00\x00\x09\x00\x01\x00\x00")
	p.send("\x06\x00\x00\x00\x07\x00\x00\x00\x01")
	p.expect("\x05\x00\x00\x00\x07" + one)
	p.send("\x06\x00\x00\x00\x07\x00\x00\x00\x08") // now it is 0
	p.send("\x05\x00\x00\x00\x09" + two)
	p.expect("\x05\x00\x00\x00\x09" + two)
	p.send("\x06\x00\x00\x00\x07\x00\x00\x10\x00")
	first, got, err := p.receive()
	if rest := strings.TrimPrefix(got, "\x05\x00\x00\x00\x07"); err != nil || first != 0x82 || rest != two+three && rest != two {
		t.Fatalf("%q, %v", got, err)
	}
	p.send("\x07\x00\x00\x00\x07\x03\xe8done")
	p.send("\x05\x00\x00\x00\x07" + one) // under way when it was closed
	p.send("\x05\x00\x00\x00\x09\x00\x00\x00\x0f\x00\x00\x00\x05close\x00\x00\x00\x02no")
	for got[0] != 0x07 { // perhaps what was left of the first channel
		if _, got, err = p.receive(); err != nil {
			t.Fatal(err)
		}
	}
	if got != "\x07\x00\x00\x00\x09\x11\x31no" {
		t.Errorf("%q", got)
	}
}

// TestMuxLarge: messages larger than the window pass both ways, and credit is given back.
func TestMuxLarge(t *testing.T) {
	s := serveMux(t, muxOptions())
	c := open(t, dialMux(t, s), zws.ChannelOptions{Route: "/echo", Window: 1})
	for range 2 {
		roundTrip(t, c, strings.Repeat("l", 500_000), "", strings.Repeat("m", 500_000))
	}
}

// TestMuxSubscribe: the subscriptions of an open are the first messages.
func TestMuxSubscribe(t *testing.T) {
	s := serveMux(t, muxOptions())
	c := open(t, dialMux(t, s), zws.ChannelOptions{Route: "/echo", SocketType: zmtp.SUB, Subscribe: [][]byte{[]byte("a"), {}}})
	if err := c.Subscribe(t.Context(), []byte("b")); err != nil {
		t.Fatal(err)
	}
	if err := c.Unsubscribe(t.Context(), []byte("b")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x01a", "\x01", "\x01b", "\x00b"} {
		if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != want {
			t.Errorf("%q, %v; want %q", m, err, want)
		}
	}
}

// serveMuxChannels serves channels, and returns each one that is opened.
func serveMuxChannels(t *testing.T) (*server, <-chan *zws.Channel) {
	channels := make(chan *zws.Channel, 1)
	return serveMuxWith(t, muxOptions(), func(p *zws.PendingChannel) {
		c, err := p.Accept(zws.AcceptOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		channels <- c
		c.Close(runChannel(c))
	}), channels
}

// TestMuxNotifications: renewal, the end of the login, and losses on a channel.
func TestMuxNotifications(t *testing.T) {
	s, channels := serveMuxChannels(t)
	notifications := make(chan zws.Notification, 10)
	m, err := zws.DialMux(t.Context(), s.url(), zws.DialOptions{
		Security: zmtp.Bearer{Token: "alice"}, Notify: func(n zws.Notification) { notifications <- n },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	conn := (<-s.accepted).conn
	channel := open(t, m, zws.ChannelOptions{Route: "/echo", RoutingID: []byte("me")})
	c := <-channels
	if l := c.Login(); l.User() != "alice" || l.Mechanism != zap.BEARER || string(l.RoutingID) != "me" || l.Multiplexed {
		t.Errorf("login %+v", l)
	}
	if !conn.Login().Multiplexed {
		t.Error("the connection's login is not for channels")
	}
	c.Lost(2)
	if n := <-notifications; n.Lost != 2 || n.Channel != channel {
		t.Errorf("%+v", n)
	}
	conn.Expiring(time.Minute)
	if n := <-notifications; n.Expiring != time.Minute {
		t.Errorf("%+v", n)
	}
	if err := m.Renew(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if n := <-notifications; !n.Renewed {
		t.Errorf("%+v", n)
	}
	conn.Close(&zws.CloseError{Code: zws.CodeExpired, Reason: "over"})
	if _, err := c.ReadMessage(); zws.Cause(err).Code != zws.CodeExpired {
		t.Errorf("the channel ended with %v", err)
	}
}

// TestMuxUnsubscribed: the notification keeps its place between the messages of its channel,
// and waits with them for credit.
func TestMuxUnsubscribed(t *testing.T) {
	const login, ready, opened = "\x01\x04NULL", "\x02\x00\x00\x00\x64", "\x04\x00\x00\x00\x07\x00\x01\x00\x00"
	const say, hear = "\x05\x00\x00\x00\x07", "\x05\x00\x00\x00\x07"
	const unsubscribed = "\x00\x00\x00\x16\x00\x00\x00\x0cunsubscribed\x00\x00\x00\x02a/"
	const one, two = "\x00\x00\x00\x05\x00\x00\x00\x011", "\x00\x00\x00\x05\x00\x00\x00\x012"
	s := serveMux(t, muxOptions())
	p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
	p.send(login)
	p.expect(ready)
	p.send("\x03\x00\x00\x00\x07\x00\x00\x00\x01\x00\x00\x00\x05/echo")
	p.expect(opened)
	p.send(say + one + unsubscribed + two)
	p.expect(hear + one) // which takes the credit of one byte
	p.send("\x06\x00\x00\x00\x07\x00\x00\x00\x09")
	p.expect("\x0a\x00\x00\x00\x07a/")
	p.expect(hear + two)

	notifications := make(chan zws.Notification, 1)
	m, err := zws.DialMux(t.Context(), s.url(), zws.DialOptions{Notify: func(n zws.Notification) { notifications <- n }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c := open(t, m, zws.ChannelOptions{Route: "/echo"})
	for _, topic := range []string{"a/", ""} {
		if err := c.Send(t.Context(), message("unsubscribed", topic)); err != nil {
			t.Fatal(err)
		}
		if n := <-notifications; n.Unsubscribed == nil || string(n.Unsubscribed) != topic || n.Channel != c {
			t.Errorf("%+v, want %q", n, topic)
		}
	}
}

// BenchmarkMuxChannel measures the memory of one more channel of a server. Run it with
// -benchtime 10000x.
func BenchmarkMuxChannel(b *testing.B) {
	o := muxOptions()
	o.MaxChannels = 1 << 20
	s := serveMux(b, o)
	m := dialMux(b, s)
	memory := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc + stats.StackInuse
	}
	before := memory()
	for b.Loop() {
		open(b, m, zws.ChannelOptions{Route: "/echo"})
	}
	b.ReportMetric(float64(memory()-before)/float64(b.N), "B/channel")
}
