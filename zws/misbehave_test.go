package zws_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const (
	helloCommand = "\x02\x05HELLO\x05alice\x06secret"
	initiate     = "\x02\x08INITIATE" + dealerMetadata
)

// TestMisbehavingClients: each defect ends the connection of that client with a fitting code,
// and no other connection.
func TestMisbehavingClients(t *testing.T) {
	o := options()
	o.MaxMessage, o.MaxFrames, o.MaxHandshake = 1000, 3, 300
	s := serve(t, o, plain)
	good, err := zws.Dial(t.Context(), s.url(), zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Plain{User: "good"}})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()

	bare, plainLogin := []string{"\x00"}, []string{helloCommand, initiate}
	tests := []struct {
		name   string
		offer  string
		login  []string // what goes well, if anything
		data   []byte
		code   zws.Code
		reason string
	}{
		// ZWS frames
		{"text frame", "ZWS2.0", bare, frame(0x81, "\x00text"), 1003, "text frame: this protocol is binary"},
		{"text frame first", "ZWS2.0+PLAIN", nil, frame(0x81, helloCommand), 1003, "text frame: this protocol is binary"},
		{"empty message", "ZWS2.0", bare, frame(0x82, ""), 1002, "empty WebSocket message: the flag byte is missing"},
		{"empty message first", "ZWS2.0+PLAIN", nil, frame(0x82, ""), 1002, "empty WebSocket message: the flag byte is missing"},
		{"flag 02 on bare", "ZWS2.0", bare, frame(0x82, "\x02\x04PING"), 1002, "unknown flag byte 02"},
		{"flag 03", "ZWS2.0+PLAIN", plainLogin, frame(0x82, "\x03a"), 1002, "unknown flag byte 03"},
		{"flag 04", "ZWS2.0+PLAIN", plainLogin, frame(0x82, "\x04a"), 1002, "unknown flag byte 04"},
		{"ASCII flag", "WSNetMQ", nil, frame(0x82, "0a"), 1002, "unknown flag byte 30"},
		{"command inside a message", "ZWS2.0+PLAIN", plainLogin, concat(frame(0x82, "\x01a"), frame(0x82, "\x02\x04PING")), 1002, "a command inside a message"},
		{"command without a name", "ZWS2.0+PLAIN", plainLogin, frame(0x82, "\x02\x09PING"), 1002, "protocol error: command of 5 bytes without a complete name"},
		// WebSocket frames, RFC 6455
		{"unmasked frame", "ZWS2.0", bare, []byte("\x82\x02\x00a"), 1002, "bad MASK"},
		{"RSV1", "ZWS2.0", bare, frame(0xC2, "\x00a"), 1002, "RSV1 set"},
		{"unknown opcode", "ZWS2.0", bare, frame(0x83, "\x00a"), 1002, "bad opcode 3"},
		{"fragmented ping", "ZWS2.0", bare, frame(0x09, ""), 1002, "FIN not set on control"},
		{"long ping", "ZWS2.0", bare, frame(0x89, strings.Repeat("p", 126)), 1002, "len > 125 for control"},
		{"continuation of nothing", "ZWS2.0", bare, frame(0x80, "\x00a"), 1002, "continuation after FIN"},
		{"message inside a message", "ZWS2.0", bare, concat(frame(0x02, "\x00a"), frame(0x82, "\x00b")), 1002, "data before FIN"},
		{"close code 1006", "ZWS2.0", bare, frame(0x88, "\x03\xee"), 1002, "bad close code 1006"},
		{"close reason not UTF-8", "ZWS2.0", bare, frame(0x88, "\x03\xe8\xff"), 1002, "invalid utf8 payload in close frame"},
		{"close frame of one byte", "ZWS2.0", bare, frame(0x88, "\x03"), 1002, "close frame of one byte: a code has two"},
		{"close frame of one byte before the login", "ZWS2.0+CURVE", nil, frame(0x88, "x"), 1002, "close frame of one byte: a code has two"},
		{"length of 2 in two bytes", "ZWS2.0", bare, []byte("\x82\xfe\x00\x02\x00\x00\x00\x00\x00a"), 1002, "length of a frame in more bytes than needed"},
		{"length of 2 in eight bytes", "ZWS2.0+PLAIN", plainLogin, []byte("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00a"), 1002, "length of a frame in more bytes than needed"},
		{"length of 126 in eight bytes", "WSNetMQ", nil, concat([]byte("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7e\x00\x00\x00\x00"), make([]byte, 126)), 1002, "length of a frame in more bytes than needed"},
		{"length of a ping in two bytes", "ZWS2.0+NULL", nil, []byte("\x89\xfe\x00\x02\x00\x00\x00\x00ab"), 1002, "length of a frame in more bytes than needed"},
		{"length of a fragment in two bytes", "ZWS2.0", bare, concat(frame(0x02, "\x00a"), []byte("\x80\xfe\x00\x01\x00\x00\x00\x00b")), 1002, "length of a frame in more bytes than needed"},
		{"length of a close frame in two bytes", "ZWS2.0", bare, []byte("\x88\xfe\x00\x02\x00\x00\x00\x00\x03\xe8"), 1002, "length of a frame in more bytes than needed"},
		{"length of 2^63", "ZWS2.0", bare, []byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 1009, "larger than this server accepts"},
		// limits
		{"frame just over", "ZWS2.0", bare, frame(0x82, "\x00"+strings.Repeat("m", 1001)), 1009, "message longer than 1000 bytes"},
		{"frame far over", "ZWS2.0", bare, frame(0x82, "\x00"+strings.Repeat("m", 1<<20)), 1009, "larger than this server accepts"},
		{"message over in two frames", "ZWS2.0", bare, concat(frame(0x82, "\x01"+strings.Repeat("m", 999)), frame(0x82, "\x00mm")), 1009, "message longer than 1000 bytes"},
		{"fragments over", "ZWS2.0", bare, concat(frame(0x02, "\x00"+strings.Repeat("m", 900)), frame(0x80, strings.Repeat("m", 900))), 1009, "larger than this server accepts"},
		{"one frame too many", "ZWS2.0", bare, concat(frame(0x82, "\x01"), frame(0x82, "\x01"), frame(0x82, "\x01"), frame(0x82, "\x00")), 1009, "message of more than 3 frames"},
		{"HELLO over the limit", "ZWS2.0+BEARER", nil, frame(0x82, "\x02\x05HELLO"+strings.Repeat("t", 295)), 1009, "larger than this server accepts"},
		{"HELLO of 1 MiB", "ZWS2.0+BEARER", nil, frame(0x82, "\x02\x05HELLO"+strings.Repeat("t", 1<<20)), 1009, "larger than this server accepts"},
		{"INITIATE over the limit", "ZWS2.0+PLAIN", plainLogin[:1], frame(0x82, "\x02\x08INITIATE"+strings.Repeat("t", 1<<20)), 1009, "larger than this server accepts"},
		{"routing id of 1 MiB", "ZWS2.0", nil, frame(0x82, "\x00"+strings.Repeat("i", 1<<20)), 1009, "larger than this server accepts"},
		// the handshake
		{"message first", "ZWS2.0+PLAIN", nil, frame(0x82, "\x00hello"), 1002, "a message instead of a command of the handshake"},
		{"READY for HELLO", "ZWS2.0+PLAIN", nil, frame(0x82, "\x02\x05READY"+dealerMetadata), 1002, "protocol error: PLAIN: want HELLO, got \"READY\""},
		{"ERROR for READY", "ZWS2.0+NULL", nil, frame(0x82, "\x02\x05ERROR\x03500"), 1002, "ERROR from a client during its login"},
		{"ERROR for INITIATE", "ZWS2.0+PLAIN", plainLogin[:1], frame(0x82, "\x02\x05ERROR\x03400"), 1002, "ERROR from a client during its login"},
		{"HELLO cut short", "ZWS2.0+PLAIN", nil, frame(0x82, "\x02\x05HELLO\x05alice\x07secret"), 1002, "protocol error: PLAIN: malformed HELLO: want a user name and a password, each after its size, and nothing more"},
		{"HELLO and more", "ZWS2.0+PLAIN", nil, frame(0x82, helloCommand+"x"), 1002, "protocol error: PLAIN: malformed HELLO: want a user name and a password, each after its size, and nothing more"},
		{"HELLO twice", "ZWS2.0+PLAIN", plainLogin[:1], frame(0x82, helloCommand), 1002, "protocol error: PLAIN: want INITIATE, got \"HELLO\""},
		{"HELLO after READY", "ZWS2.0+PLAIN", plainLogin, frame(0x82, helloCommand), 1002, "HELLO after READY: only a BEARER login can be renewed"},
		{"malformed metadata", "ZWS2.0+NULL", nil, frame(0x82, "\x02\x05READY\x0bSocket-Type\xff\xff\xff\xffDEALER"), 1002, "protocol error: NULL: malformed READY: invalid metadata"},
		{"unknown socket type", "ZWS2.0+NULL", nil, frame(0x82, "\x02\x05READY\x0bSocket-Type\x00\x00\x00\x06STREAM"), 4406, "this route does not serve STREAM sockets"},
		{"socket type not taken", "ZWS2.0+NULL", nil, frame(0x82, "\x02\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"), 4406, "this route does not serve SUB sockets"},
		{"CURVE HELLO of the wrong length", "ZWS2.0+CURVE", nil, frame(0x82, "\x02\x05HELLO\x01\x00"), 1002, "protocol error: CURVE: malformed HELLO: 8 bytes, want 200"},
		{"routing id in two frames", "ZWS2.0", nil, frame(0x82, "\x01a"), 1002, "the first message, the routing id, must have one frame"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := s.dialRaw(t, "/", offering(test.offer))
			for _, step := range test.login {
				p.send(step)
				if _, _, err := p.receive(); err != nil {
					t.Fatal(err)
				}
			}
			p.write(test.data)
			if test.code == zws.CodeNotTaken {
				p.expect("\x02\x05ERROR\x03400")
			}
			p.expectClose(test.code, test.reason)

			if err := good.Send(t.Context(), message("still", "there")); err != nil {
				t.Fatal(err)
			}
			if m, err := good.Recv(t.Context()); err != nil || len(m) != 2 {
				t.Fatalf("the good client received %q, %v", m, err)
			}
		})
	}
}

func concat(p ...[]byte) []byte { return bytes.Join(p, nil) }

// TestJustBelowLimits: what has the largest allowed size is accepted.
func TestJustBelowLimits(t *testing.T) {
	o := options()
	o.MaxMessage, o.MaxFrames, o.MaxHandshake = 1000, 3, 300
	s := serve(t, o, plain)

	p := s.dialRaw(t, "/", offering("ZWS2.0+BEARER"))
	p.send("\x02\x05HELLO" + strings.Repeat("t", 294))
	p.expect("\x02\x07WELCOME")
	p.send(initiate)
	p.expect("\x02\x05READY" + routerMetadata)
	p.send("\x00" + strings.Repeat("m", 1000))
	p.expect("\x00" + strings.Repeat("m", 1000))
	for _, part := range []string{"\x01" + strings.Repeat("a", 400), "\x01", "\x00" + strings.Repeat("b", 600)} {
		p.send(part)
	}
	p.expect("\x01" + strings.Repeat("a", 400))
	p.expect("\x01")
	p.expect("\x00" + strings.Repeat("b", 600))

	d := clients(&o, "curve")["ZWS2.0/CURVE"]
	c, err := zws.Dial(t.Context(), s.url(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(t.Context(), message(strings.Repeat("m", 1000))); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Recv(t.Context()); err != nil || m.Size() != 1000 {
		t.Errorf("received %d bytes, %v", m.Size(), err)
	}
	if err := c.Send(t.Context(), message(strings.Repeat("m", 1001))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recv(t.Context()); zws.Cause(err).Code != 1009 {
		t.Errorf("1001 bytes over CURVE: %v", err)
	}
}

// TestFragments: a client may fragment messages, as browsers do, with control frames in
// between.
func TestFragments(t *testing.T) {
	s := serve(t, options(), plain)
	p := s.dialRaw(t, "/", offering("WSNetMQ"))
	p.write(concat(frame(0x02, ""), frame(0x00, "\x00fr"), frame(0x89, "ping"), frame(0x00, ""), frame(0x80, "agments")))
	if first, payload, err := p.receive(); first != 0x8A || payload != "ping" {
		t.Errorf("received %02x %q, %v; want the pong", first, payload, err)
	}
	p.expect("\x00fragments")
}

// TestClientCloses: a client's close frame is answered with the same code, its silence
// with nothing; both end the connection.
func TestClientCloses(t *testing.T) {
	s := serve(t, options(), plain)
	for _, test := range []struct {
		name, payload, answer string
		code                  zws.Code
	}{
		{"with a code", "\x03\xe8bye", "\x03\xe8bye", 1000},
		{"with one of its own", "\x0f\xa0", "\x0f\xa0", 4000},
		{"without a code", "", "", 1005},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := s.dialRaw(t, "/", offering("WSNetMQ"))
			conn := (<-s.accepted).conn
			p.write(frame(0x88, test.payload))
			if first, payload, err := p.receive(); first != 0x88 || payload != test.answer {
				t.Errorf("answered %02x %q, %v", first, payload, err)
			}
			conn.Wait()
			if c := conn.Cause(); c.Code != test.code || c.Err != zws.ErrPeerClosed {
				t.Errorf("cause %v", c)
			}
		})
	}
	t.Run("drops the connection", func(t *testing.T) {
		p := s.dialRaw(t, "/", offering("WSNetMQ"))
		conn := (<-s.accepted).conn
		p.conn.Close()
		conn.Wait()
		if c := conn.Cause(); c.Code != zws.CodeAbnormal {
			t.Errorf("cause %v", c)
		}
	})
}

// TestNothingWithoutHandler: Options that would let clients in without asking are refused.
func TestNothingWithoutHandler(t *testing.T) {
	for name, change := range map[string]func(*zws.Options){
		"handler":    func(o *zws.Options) { o.Handler = nil },
		"domain":     func(o *zws.Options) { o.Domain = "" },
		"mechanisms": func(o *zws.Options) { o.Mechanisms = nil },
		"announce":   func(o *zws.Options) { o.Announce = "" },
		"types":      func(o *zws.Options) { o.ClientTypes = nil },
		"untyped":    func(o *zws.Options) { o.Untyped = "" },
		"routing id": func(o *zws.Options) { o.RoutingID = make([]byte, 256) },
	} {
		o := options()
		change(&o)
		s := serve(t, o, plain)
		if p := s.dialRaw(t, "/", offering("ZWS2.0")); p.status() != 500 {
			t.Errorf("without %s: answered %q", name, p.head)
		}
		if a := <-s.accepted; a.err == nil {
			t.Errorf("without %s: accepted", name)
		}
	}
	// CURVE without keys is a fault of the server.
	o := options()
	o.CurvePublic, o.CurveSecret = [32]byte{}, [32]byte{}
	o.Mechanisms = []zap.Mechanism{zap.CURVE}
	p := serve(t, o, plain).dialRaw(t, "/", offering("ZWS2.0+CURVE"))
	p.expectClose(1011, "internal error")
}
