package zws_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestMuxRefused: refused logins, and refused channels beside a good one.
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
	if _, err := ended.Recv(t.Context()); refusal(err) != zws.CodeExpired {
		t.Errorf("ended with %v", err)
	}
	if err := ended.Send(t.Context(), message("late")); refusal(err) != zws.CodeExpired {
		t.Errorf("ended with %v", err)
	}
	roundTrip(t, good, "still here")
}

// TestMuxFaults: a client that breaks the protocol loses its connection.
func TestMuxFaults(t *testing.T) {
	const login, ready = "\x01\x04NULL", "\x02\x00\x00\x00\x64"
	const opened = "\x03\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x05/deaf"
	o := muxOptions()
	o.MaxFrames, o.MaxMessage = 2, 100
	o.Mechanisms = append(o.Mechanisms, zap.TLS)
	s := serveMux(t, o)
	good := open(t, dialMux(t, s), zws.ChannelOptions{Route: "/echo"})
	for _, test := range []struct {
		name, send string
		code       zws.Code
		reason     string
	}{
		{"no op", "", 1002, "unknown op 00"},
		{"an unknown op", "\x18", 1002, "unknown op 18"},
		{"a pong", "\x16", 1002, "only servers send op 16"},
		{"a ping that is too long", "\x15" + strings.Repeat("x", 17), 1002, "the context of op 15 must be at most 16 bytes"},
		{"an op of servers", "\x02\x00\x00\x00\x00", 1002, "only servers send op 02"},
		{"a second login", login, 1002, "second login: only a BEARER login can be renewed, by a token"},
		{"a short op", "\x06\x00", 1002, "op 06 is too short or too long"},
		{"a long op", "\x06\x00\x00\x00\x01\x00\x00\x00\x01\x00", 1002, "op 06 is too short or too long"},
		{"a topic cut off", "\x03\x00\x00\x00\x08\x00\x00\x00\x00\x03SUB\x00\x00\x02/a\x00\x05abc", 1002, "op 03 is too short or too long"},
		{"channel 0", "\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 1002, "channel 0: numbers must increase, and 7 was opened"},
		{"a number again", opened, 1002, "channel 7: numbers must increase, and 7 was opened"},
		{"a channel never opened", "\x07\x00\x00\x00\x08\x03\xe8", 1002, "channel 8 was never opened"},
		{"too much credit", "\x06\x00\x00\x00\x07\x80\x00\x00\x00", 1002, "channel 7: more than 2147483647 bytes of credit"},
		{"too much credit at once", "\x03\x00\x00\x00\x08\x80\x00\x00\x00\x00\x00\x00\x00", 1002, "channel 8: more than 2147483647 bytes of credit"},
		{"a long reason", "\x07\x00\x00\x00\x07\x03\xe8" + strings.Repeat("x", 124), 1002, "the reason of a close must be UTF-8 of at most 123 bytes"},
		{"a reason that is not UTF-8", "\x07\x00\x00\x00\x07\x03\xe8\xff", 1002, "the reason of a close must be UTF-8 of at most 123 bytes"},
		{"no message", "\x05\x00\x00\x00\x07", 1002, "no message in a frame for messages"},
		{"no frame", "\x05\x00\x00\x00\x07\x00\x00\x00\x00", 1002, "the lengths in a message do not add up"},
		{"a frame too long", "\x05\x00\x00\x00\x07\x00\x00\x00\x05\x00\x00\x00\x02a", 1002, "the lengths in a message do not add up"},
		{"a message too long", "\x05\x00\x00\x00\x07\x00\x00\x00\x06\x00\x00\x00\x01a", 1002, "the lengths in a message do not add up"},
		{"large", "\x05\x00\x00\x00\x07\x00\x00\x00\x69\x00\x00\x00\x65" + strings.Repeat("x", 101), 1009, "message longer than 100 bytes"},
		{"many frames", "\x05\x00\x00\x00\x07\x00\x00\x00\x0c" + strings.Repeat("\x00", 12), 1009, "message of more than 2 frames"},
		{"larger than any", strings.Repeat("\x05", 20_000), 1009, "larger than this server accepts"},
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
		p.expectClose(1002, "the first frame must be a login")
	})
	for _, mechanism := range []string{"GSSAPI", "CURVE", "plain", "TLS"} { // whatever the route takes
		t.Run("mechanism "+mechanism, func(t *testing.T) {
			p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
			p.send("\x01" + string(rune(len(mechanism))) + mechanism + "\x00")
			p.expectClose(4406, "this route does not accept "+mechanism+" logins")
		})
	}
	t.Run("without credit", func(t *testing.T) {
		p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
		p.send(login)
		p.expect(ready)
		p.send(opened)
		p.expect("\x04\x00\x00\x00\x07\x00\x01\x00\x00")
		full := "\x00\x00\x00\x68\x00\x00\x00\x64" + strings.Repeat("x", 100) // 108 bytes
		for range 1<<16/108 + 1 {
			p.send("\x05\x00\x00\x00\x07" + full)
		}
		p.send("\x05\x00\x00\x00\x07" + full)
		p.expectClose(1002, "channel 7: a message without credit")
	})
	roundTrip(t, good, strings.Repeat("x", 100), "")
}

// TestMuxOpenLimits: options that do not fit into a frame are an error of the caller and do
// not affect the connection.
func TestMuxOpenLimits(t *testing.T) {
	m := dialMux(t, serveMux(t, muxOptions()))
	good := open(t, m, zws.ChannelOptions{Route: "/echo"})
	for name, o := range map[string]zws.ChannelOptions{
		"route":        {Route: "/" + strings.Repeat("x", 1<<16)},
		"socket type":  {Route: "/echo", SocketType: zmtp.SocketType(strings.Repeat("x", 256))},
		"routing id":   {Route: "/echo", RoutingID: make([]byte, 256)},
		"subscription": {Route: "/flood", SocketType: zmtp.SUB, Subscribe: [][]byte{make([]byte, 1<<16)}},
		"window":       {Route: "/echo", Window: -1},
	} {
		_, err := m.Open(t.Context(), o)
		if _, closed := errors.AsType[*zws.CloseError](err); err == nil || closed {
			t.Errorf("%s: %v, want an error of this side", name, err)
		}
	}
	roundTrip(t, good, "still here")
}
