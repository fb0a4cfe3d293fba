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

// muxOptions are those of a server whose channels echo; but
//
//	/refuse   closes with 4403 instead of opening
//	/deaf     reads nothing
//	/flood    sends without end
func muxOptions() zws.Options {
	o := options()
	o.ServeChannel = func(ctx context.Context, c *zws.Channel) error {
		switch c.Request().Route {
		case "/refuse":
			return &zws.CloseError{Code: zws.CodeForbidden, Reason: "not for you"}
		case "/deaf":
			c.Opened()
			<-ctx.Done()
			return nil
		case "/flood":
			c.Attach(flood{})
		}
		q := &queue{channel: c}
		if c.Request().Route != "/flood" {
			c.Attach(q)
		}
		c.Opened()
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
	return o
}

// flood always has something to send.
type flood struct{}

func (flood) Next(b *zws.Batch) {
	for !b.Full() {
		b.Message(message("flood", strings.Repeat("x", 1000)))
	}
}

func serveMux(t testing.TB, o zws.Options) *server { return serveWith(t, o, plain, drop) }

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
	m, err := c.Recv()
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
				if got, err := c.Recv(); err != nil || string(got[0]) != want {
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
	if _, err := channels[0].Recv(); err != io.EOF {
		t.Errorf("closed: %v", err)
	}
	roundTrip(t, open(t, m, zws.ChannelOptions{Route: "/echo"}), "in its place")
}

// TestMuxSlow: a channel whose client does not read, and one whose server does not, stall
// no other.
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
		if _, err := flooded.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-stuck; err != context.Canceled {
		t.Errorf("the deaf channel ended with %v", err)
	}
}

// TestMuxCredit: octet by octet. Without credit nothing is sent; one message may go beyond
// it; what was not sent comes with the next credit, in order.
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

// TestMuxLarge: a message larger than any window passes both ways, and credit comes back.
func TestMuxLarge(t *testing.T) {
	s := serveMux(t, muxOptions())
	c := open(t, dialMux(t, s), zws.ChannelOptions{Route: "/echo", Window: 1})
	for range 2 {
		roundTrip(t, c, strings.Repeat("l", 500_000), "", strings.Repeat("m", 500_000))
	}
}

// TestMuxSubscribe: subscriptions of an open come first, as messages.
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
		if m, err := c.Recv(); err != nil || string(m[0]) != want {
			t.Errorf("%q, %v; want %q", m, err, want)
		}
	}
}

// TestMuxRefused: a login that is refused, and channels that are, beside a good one.
func TestMuxRefused(t *testing.T) {
	refusal := func(err error) zws.Code {
		closed, _ := errors.AsType[*zws.CloseError](err)
		if closed == nil {
			t.Errorf("%v is no CloseError", err)
			return 0
		}
		return closed.Code
	}
	s := serveMux(t, muxOptions())
	for user, want := range map[string]zws.Code{"300": 4300, "400": 4400, "500": 4500} {
		_, err := zws.DialMux(t.Context(), s.url(), zws.DialOptions{Security: zmtp.Plain{User: user}})
		if got := refusal(err); got != want {
			t.Errorf("login of %s: %d", user, got)
		}
	}
	_, err := zws.DialMux(t.Context(), serve(t, options(), plain).url(), zws.DialOptions{})
	if got := refusal(err); got != zws.CodeNotTaken {
		t.Errorf("a server without channels: %d", got)
	}
	if _, err := zws.DialMux(t.Context(), s.url(), zws.DialOptions{Security: zmtp.Curve{}}); err == nil {
		t.Error("CURVE is taken")
	}
	m := dialMux(t, s)
	good := open(t, m, zws.ChannelOptions{Route: "/echo"})
	for _, test := range []struct {
		options zws.ChannelOptions
		want    zws.Code
	}{
		{zws.ChannelOptions{Route: "/refuse"}, 4403},
		{zws.ChannelOptions{Route: "/echo", SocketType: "STREAM"}, 4406},
		{zws.ChannelOptions{Route: "/echo", SocketType: zmtp.REQ, Subscribe: [][]byte{{}}}, 4406},
	} {
		_, err := m.Open(t.Context(), test.options)
		if got := refusal(err); got != test.want {
			t.Errorf("%+v: %d, want %d", test.options, got, test.want)
		}
	}
	ended := open(t, m, zws.ChannelOptions{Route: "/echo"})
	if err := ended.Send(t.Context(), message("close", "now")); err != nil {
		t.Fatal(err)
	}
	if _, err := ended.Recv(); refusal(err) != zws.CodeExpired {
		t.Errorf("ended with %v", err)
	}
	if err := ended.Send(t.Context(), message("late")); refusal(err) != zws.CodeExpired {
		t.Errorf("ended with %v", err)
	}
	roundTrip(t, good, "still here")
}

// TestMuxFaults: what breaks the protocol ends the connection of whoever does it.
func TestMuxFaults(t *testing.T) {
	const login, ready = "\x01\x04NULL", "\x02\x00\x00\x00\x64"
	const opened = "\x03\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x05/deaf"
	o := muxOptions()
	o.MaxFrames, o.MaxMessage = 2, 100
	s := serveMux(t, o)
	good := open(t, dialMux(t, s), zws.ChannelOptions{Route: "/echo"})
	for _, test := range []struct {
		name, send string
		code       zws.Code
		reason     string
	}{
		{"no op", "", 1002, "op 00 is not one of this protocol"},
		{"an unknown op", "\x0d", 1002, "op 0d is not one of this protocol"},
		{"an op of servers", "\x02\x00\x00\x00\x00", 1002, "op 02 is for servers"},
		{"a second login", login, 1002, "a second login: only one by token can be renewed, by a token"},
		{"a short op", "\x06\x00", 1002, "op 06 is too short or too long"},
		{"a long op", "\x06\x00\x00\x00\x01\x00\x00\x00\x01\x00", 1002, "op 06 is too short or too long"},
		{"a topic cut off", "\x03\x00\x00\x00\x08\x00\x00\x00\x00\x03SUB\x00\x00\x02/a\x00\x05abc", 1002, "op 03 is too short or too long"},
		{"channel 0", "\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 1002, "channel 0: numbers go up, and 7 was opened"},
		{"a number again", opened, 1002, "channel 7: numbers go up, and 7 was opened"},
		{"a channel never opened", "\x07\x00\x00\x00\x08\x03\xe8", 1002, "channel 8 was never opened"},
		{"too much credit", "\x06\x00\x00\x00\x07\x80\x00\x00\x00", 1002, "channel 7: more than 2147483647 octets of credit"},
		{"too much credit at once", "\x03\x00\x00\x00\x08\x80\x00\x00\x00\x00\x00\x00\x00", 1002, "channel 8: more than 2147483647 octets of credit"},
		{"no message", "\x05\x00\x00\x00\x07", 1002, "no message in a frame for messages"},
		{"no frame", "\x05\x00\x00\x00\x07\x00\x00\x00\x00", 1002, "lengths in a message that do not fit together"},
		{"a frame too long", "\x05\x00\x00\x00\x07\x00\x00\x00\x05\x00\x00\x00\x02a", 1002, "lengths in a message that do not fit together"},
		{"a message too long", "\x05\x00\x00\x00\x07\x00\x00\x00\x06\x00\x00\x00\x01a", 1002, "lengths in a message that do not fit together"},
		{"large", "\x05\x00\x00\x00\x07\x00\x00\x00\x69\x00\x00\x00\x65" + strings.Repeat("x", 101), 1009, "message longer than 100 octets"},
		{"many frames", "\x05\x00\x00\x00\x07\x00\x00\x00\x0c" + strings.Repeat("\x00", 12), 1009, "message of more than 2 frames"},
		{"larger than any", strings.Repeat("\x05", 20_000), 1009, "larger than this server takes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
			p.send(login)
			p.expect(ready)
			p.send(opened)
			p.expect("\x04\x00\x00\x00\x07\x00\x01\x00\x00")
			p.send(test.send)
			p.expectClose(test.code, test.reason)
		})
	}
	t.Run("text", func(t *testing.T) {
		p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
		p.write(frame(0x81, "\x01\x04NULL"))
		p.expectClose(1003, "text frame: this protocol is binary")
	})
	t.Run("before the login", func(t *testing.T) {
		p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
		p.send(opened)
		p.expectClose(1002, "the first frame has to be a login")
	})
	t.Run("an unknown mechanism", func(t *testing.T) {
		p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
		p.send("\x01\x06GSSAPI")
		p.expectClose(4406, "GSSAPI is not taken here")
	})
	t.Run("without credit", func(t *testing.T) {
		p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
		p.send(login)
		p.expect(ready)
		p.send(opened)
		p.expect("\x04\x00\x00\x00\x07\x00\x01\x00\x00")
		full := "\x00\x00\x00\x68\x00\x00\x00\x64" + strings.Repeat("x", 100) // 108 octets
		for range 1<<16/108 + 1 {
			p.send("\x05\x00\x00\x00\x07" + full)
		}
		p.send("\x05\x00\x00\x00\x07" + full)
		p.expectClose(1002, "channel 7: a message without credit")
	})
	roundTrip(t, good, strings.Repeat("x", 100), "")
}

// TestMuxNotices: renewal, the end of the login, and losses on a channel.
func TestMuxNotices(t *testing.T) {
	o := muxOptions()
	channels := make(chan *zws.Channel, 1)
	serveChannel := o.ServeChannel
	o.ServeChannel = func(ctx context.Context, c *zws.Channel) error {
		channels <- c
		return serveChannel(ctx, c)
	}
	s := serveMux(t, o)
	notices := make(chan zws.Notice, 10)
	m, err := zws.DialMux(t.Context(), s.url(), zws.DialOptions{
		Security: zmtp.Bearer{Token: "alice"}, Notice: func(n zws.Notice) { notices <- n },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	session := (<-s.accepted).session
	channel := open(t, m, zws.ChannelOptions{Route: "/echo", RoutingID: []byte("me")})
	c := <-channels
	if l := c.Login(); l.User() != "alice" || l.Mechanism != zap.BEARER || string(l.RoutingID) != "me" || l.Multiplexed {
		t.Errorf("login %+v", l)
	}
	if !session.Login().Multiplexed {
		t.Error("the session's login is not for channels")
	}
	c.Lost(2)
	if n := <-notices; n.Lost != 2 || n.Channel != channel {
		t.Errorf("%+v", n)
	}
	session.Expiring(time.Minute)
	if n := <-notices; n.Expiring != time.Minute {
		t.Errorf("%+v", n)
	}
	if err := m.Renew("alice"); err != nil {
		t.Fatal(err)
	}
	if n := <-notices; !n.Renewed {
		t.Errorf("%+v", n)
	}
	session.Close(&zws.CloseError{Code: zws.CodeExpired, Reason: "over"})
	if _, err := c.ReadMessage(); zws.Cause(err).Code != zws.CodeExpired {
		t.Errorf("the channel ended with %v", err)
	}
}

// TestMuxUnsubscribed: the notice has its place between the messages of its channel, and
// waits with them for credit.
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
	p.expect(hear + one) // which takes the credit of one octet
	p.send("\x06\x00\x00\x00\x07\x00\x00\x00\x09")
	p.expect("\x0a\x00\x00\x00\x07a/")
	p.expect(hear + two)

	notices := make(chan zws.Notice, 1)
	m, err := zws.DialMux(t.Context(), s.url(), zws.DialOptions{Notice: func(n zws.Notice) { notices <- n }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c := open(t, m, zws.ChannelOptions{Route: "/echo"})
	for _, topic := range []string{"a/", ""} {
		if err := c.Send(t.Context(), message("unsubscribed", topic)); err != nil {
			t.Fatal(err)
		}
		if n := <-notices; n.Unsubscribed == nil || string(n.Unsubscribed) != topic || n.Channel != c {
			t.Errorf("%+v, want %q", n, topic)
		}
	}
}

// BenchmarkMuxChannel tells what a further channel costs a server: run with -benchtime 10000x.
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
