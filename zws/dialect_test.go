package zws_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const (
	dealerMetadata = "\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x02me"
	routerMetadata = "\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x02us"
)

// TestDialectBytes: the bytes on the WebSocket in each dialect. The server echoes messages;
// its clients are DEALER, and SUB on /sub.
func TestDialectBytes(t *testing.T) {
	type step struct{ send, expect string } // either may be empty
	hello := "\x02\x05HELLO"
	handshake := []step{
		{"\x02\x08INITIATE" + dealerMetadata, "\x02\x05READY" + routerMetadata},
		{"\x01", ""}, {"\x00request", "\x01"}, {"", "\x00request"},
	}
	routingIDs := []step{{"\x00me", "\x00us"}, {"\x01\x01", ""}, {"\x00b", "\x01\x01"}, {"", "\x00b"}}
	tests := []struct {
		offer, target, dialect string
		mechanism              zap.Mechanism
		routingID              string
		steps                  []step
	}{
		{"ZWS2.0", "/", "ZWS2.0", zap.NULL, "me", routingIDs},
		{"ZWS2.0", "/", "ZWS2.0", zap.NULL, "", []step{{"\x00", "\x00us"}, {"\x00", "\x00"}}},
		{"ZWS2.0/NULL", "/", "ZWS2.0/NULL", zap.NULL, "me", []step{
			{"\x02\x05READY" + dealerMetadata, "\x02\x05READY" + routerMetadata}, {"\x00", "\x00"},
		}},
		{"ZWS2.0/PLAIN", "/", "ZWS2.0/PLAIN", zap.PLAIN, "me",
			append([]step{{hello + "\x05alice\x06secret", "\x02\x07WELCOME"}}, handshake...)},
		{"ZWS2.0+PLAIN", "/", "ZWS2.0+PLAIN", zap.PLAIN, "me",
			append([]step{{hello + "\x05alice\x06secret", "\x02\x07WELCOME"}}, handshake...)},
		{"ZWS2.0/BEARER", "/", "ZWS2.0/BEARER", zap.BEARER, "me",
			append([]step{{hello + "header.payload.signature", "\x02\x07WELCOME"}}, handshake...)},
		{"ZWS1.0", "/?type=dealer", "ZWS1.0", zap.NULL, "me", routingIDs},
		{"WSNetMQ", "/", "WSNetMQ", zap.NULL, "", []step{{"\x01a", ""}, {"\x00b", "\x01a"}, {"", "\x00b"}}},
		{"ZWS1.0", "/?type=DEALER&connect=tcp://a:1", "webtalk", zap.NULL, "", []step{{"1a", ""}, {"0b", "1a"}, {"", "0b"}}},
		{"ZWS1.0", "/?type=SUB&identity=me&subscribe=&subscribe=t%00&connect=tcp://a:1", "webtalk", zap.NULL, "me", []step{
			{"", "0\x01"}, {"", "0\x01t\x00"}, {"01new", "0\x01new"}, {"00new", "0\x00new"}, {"0", "0"},
		}},
		// Commands of SUB and XSUB are read as subscriptions in message form.
		{"ZWS2.0/NULL", "/", "ZWS2.0/NULL", zap.NULL, "me", []step{
			{"\x02\x05READY" + dealerMetadata, "\x02\x05READY" + routerMetadata},
			{"\x02\x09SUBSCRIBEtopic", ""}, {"\x00next", "\x00next"},
		}},
		{"ZWS2.0/NULL", "/", "ZWS2.0/NULL", zap.NULL, "", []step{
			{"\x02\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB", "\x02\x05READY" + routerMetadata},
			{"\x02\x09SUBSCRIBEtopic", "\x00\x01topic"}, {"\x02\x06CANCELtopic", "\x00\x00topic"},
			{"\x02\x04PING\x00\x00ctx", "\x02\x04PONGctx"}, {"\x02\x07UNKNOWN", ""}, {"\x00\x01", "\x00\x01"},
		}},
	}
	o := options()
	o.ClientTypes = append(o.ClientTypes, zmtp.SUB)
	s := serve(t, o, plain)
	for _, test := range tests {
		t.Run(test.dialect+test.target, func(t *testing.T) {
			p := s.dialRaw(t, test.target, offering(test.offer))
			want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: " + test.offer + "\r\n\r\n"
			if p.head != want {
				t.Errorf("answer %q, want %q", p.head, want)
			}
			for _, step := range test.steps {
				if step.send != "" {
					p.send(step.send)
				}
				if step.expect != "" {
					p.expect(step.expect)
				}
			}
			l := (<-s.accepted).conn.Login()
			if l.Dialect != test.dialect || l.Mechanism != test.mechanism || string(l.RoutingID) != test.routingID {
				t.Errorf("dialect %s, mechanism %s, routing id %q", l.Dialect, l.Mechanism, l.RoutingID)
			}
		})
	}
}

// TestSubprotocolChoice: the first one in the client's order that the route accepts.
func TestSubprotocolChoice(t *testing.T) {
	multiplex := func(o *zws.Options) { o.Multiplex = true }
	relay := func(o *zws.Options) { o.Multiplex, o.Relay = true, true }
	tests := []struct {
		offers string
		taken  []zap.Mechanism
		want   string
		change func(*zws.Options)
	}{
		{"ZWS2.0/NULL,ZWS2.0", all, "ZWS2.0/NULL", nil}, // libzmq
		{"ZWS2.0,ZWS2.0/NULL", all, "ZWS2.0", nil},
		{"ZWS2.0 ,  ZWS2.0/NULL", all, "ZWS2.0", nil},
		{"chat, ZWS2.0/NULL", all, "ZWS2.0/NULL", nil},
		{"ZWS2.0, ZWS2.0+PLAIN", []zap.Mechanism{zap.PLAIN}, "ZWS2.0+PLAIN", nil},
		{"ZWS2.0+CURVE, ZWS2.0+BEARER, ZWS2.0+PLAIN", []zap.Mechanism{zap.PLAIN, zap.BEARER}, "ZWS2.0+BEARER", nil},
		{"WSNetMQ\r\nSec-WebSocket-Protocol: ZWS2.0", all, "WSNetMQ", nil},
		{"ZWSMUX1.0, ZWS2.0+NULL", all, "ZWS2.0+NULL", nil},
		{"ZWSMUX1.0, ZWS2.0+NULL", all, "ZWSMUX1.0", multiplex},
		{"ZWSMUX1.0, ZWS2.0+NULL", all, "ZWS2.0+NULL", relay},
		{"ZWSMUX1.0", all, "ZWSMUX1.0", relay},
	}
	for _, test := range tests {
		o := options()
		o.Mechanisms = test.taken
		if test.change != nil {
			test.change(&o)
		}
		s := serve(t, o, plain)
		p := s.dialRaw(t, "/", offering(test.offers), "Connection: keep-alive, Upgrade") // as Firefox
		if !strings.Contains(p.head, "\r\nSec-WebSocket-Protocol: "+test.want+"\r\n\r\n") {
			t.Errorf("%q: answered %q, want %s", test.offers, p.head, test.want)
		}
		p.conn.Close()
	}
}

// TestRefusedAtUpgrade: a client that is refused at the upgrade gets the reason after it, with
// the first subprotocol that it offered.
func TestRefusedAtUpgrade(t *testing.T) {
	const error400 = "\x02\x05ERROR\x03400"
	tests := []struct {
		name, target, offers string
		change               func(*zws.Options)
		tell                 string // a command before the close frame
		code                 zws.Code
		reason               string
	}{
		{"nothing offered", "/", "", nil, "", 4406, "no known subprotocol was offered, such as ZWS2.0+PLAIN"},
		{"nothing known", "/", "chat, mqtt", nil, "", 4406, "no known subprotocol was offered, such as ZWS2.0+PLAIN"},
		{"case matters", "/", "zws2.0", nil, "", 4406, "no known subprotocol was offered, such as ZWS2.0+PLAIN"},
		{"bare where a login is wanted", "/", "ZWS2.0", wants(zap.PLAIN), "", 4400, "authentication required"},
		{"NULL where a login is wanted", "/", "ZWS2.0/NULL,ZWS2.0", wants(zap.PLAIN), error400, 4400, "authentication required"},
		{"1.0 where a login is wanted", "/?type=REQ", "ZWS1.0", wants(zap.CURVE), "", 4400, "authentication required"},
		{"WSNetMQ where a login is wanted", "/", "WSNetMQ", wants(zap.CURVE), "", 4400, "authentication required"},
		{"another mechanism", "/", "ZWS2.0+PLAIN", wants(zap.CURVE), error400, 4406, "this route does not accept PLAIN logins"},
		{"another mechanism, libzmq", "/", "ZWS2.0/PLAIN", wants(zap.CURVE), "\x02^RROR\x03400", 4406, "this route does not accept PLAIN logins"},
		{"plaintext", "/", "ZWS2.0+PLAIN", inTheClear, error400, 4403, "PLAIN is not accepted without TLS"},
		{"plaintext token", "/", "ZWS2.0+BEARER", inTheClear, error400, 4403, "BEARER is not accepted without TLS"},
		{"1.0 without type", "/", "ZWS1.0", nil, "", 4406, "ZWS1.0 needs the socket type in the URL: ?type="},
		{"1.0 with two types", "/?type=REQ&type=DEALER", "ZWS1.0", nil, "", 4406, "the URL names more than one socket type"},
		{"1.0 with a strange type", "/?type=STREAM", "ZWS1.0", nil, "", 4406, "unknown socket type in the URL: type=STREAM"},
		{"1.0 with a type not taken", "/?type=PUSH", "ZWS1.0", nil, "", 4406, "this route does not serve PUSH sockets"},
		{"webtalk text", "/?type=REQ&connect=a&text=1", "ZWS1.0", nil, "", 4406, "webtalk's text= and policy= are not supported"},
		{"webtalk subscribe", "/?type=REQ&subscribe=a", "ZWS1.0", nil, "", 4406, "subscribe= is for SUB and XSUB, not for REQ"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := options()
			if test.change != nil {
				test.change(&o)
			}
			s := serve(t, o, plain)
			var header []string
			if test.offers != "" {
				header = append(header, offering(test.offers))
			}
			p := s.dialRaw(t, test.target, header...)
			if first, _, _ := strings.Cut(test.offers, ","); first != "" && !strings.Contains(p.head, "Protocol: "+first+"\r\n") {
				t.Errorf("answered %q, want the first offer", p.head)
			}
			if test.tell != "" {
				p.send("\x02\x05HELLO")
				p.expect(test.tell)
			}
			p.expectClose(test.code, test.reason)
		})
	}
}

func wants(m zap.Mechanism) func(*zws.Options) {
	return func(o *zws.Options) { o.Mechanisms = []zap.Mechanism{m} }
}

func inTheClear(o *zws.Options) { o.PlaintextAllowed = false }

// TestErrorForm: libzmq's PLAIN client is sent the form of ERROR that it understands, all
// others the specified form.
func TestErrorForm(t *testing.T) {
	o := options()
	s := serve(t, o, plain)
	for _, test := range []struct {
		offers string
		header []string
		want   string
	}{
		{"ZWS2.0/PLAIN", nil, "\x02^RROR\x03400"},
		{"ZWS2.0/PLAIN", []string{"User-Agent: Go"}, "\x02\x05ERROR\x03400"},
		{"ZWS2.0/PLAIN", []string{"Origin: http://example.org"}, "\x02\x05ERROR\x03400"},
		{"ZWS2.0/PLAIN,ZWS2.0", nil, "\x02\x05ERROR\x03400"},
		{"ZWS2.0+PLAIN", nil, "\x02\x05ERROR\x03400"},
	} {
		p := s.dialRaw(t, "/", append(test.header, offering(test.offers))...)
		p.send("\x02\x05HELLO\x03400\x00")
		p.expect(test.want)
		p.expectClose(4400, "login refused")
	}
}

// TestLibzmqTriesAgain: libzmq gives up for good on a close frame before READY, so it gets none
// if it may try again.
func TestLibzmqTriesAgain(t *testing.T) {
	unreachable := &zws.CloseError{Code: zws.CodeBackendLost, Reason: "backend 1 cannot be reached"}
	refused := &zws.CloseError{Code: zws.CodeBackendRefused, Status: zap.Refused, Reason: "backend 1 refused the login (400)"}
	const ready = "\x02\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
	for _, test := range []struct {
		offers string
		header []string
		cause  *zws.CloseError
		closes bool
	}{
		{"ZWS2.0/NULL,ZWS2.0", nil, unreachable, false},
		{"ZWS2.0/NULL,ZWS2.0", nil, refused, true},
		{"ZWS2.0/NULL,ZWS2.0", []string{"User-Agent: Go"}, unreachable, true},
		{"ZWS2.0/NULL,ZWS2.0", []string{"Origin: http://example.org"}, unreachable, true},
		{"ZWS2.0/NULL,ZWS2.0", []string{"Host: example.org:8443"}, unreachable, true}, // gorilla, Node
		{"ZWS2.0/NULL, ZWS2.0", nil, unreachable, true},
	} {
		o := options()
		o.Origins = []string{"http://example.org"}
		p := serveWith(t, o, plain, rejectWith(test.cause), echo).dialRaw(t, "/", append(test.header, offering(test.offers))...)
		p.send(ready)
		if test.cause == refused {
			p.expect("\x02\x05ERROR\x03400")
		}
		if test.closes {
			p.expectClose(test.cause.Code, test.cause.Reason)
		} else if first, payload, err := p.receive(); err != io.EOF {
			t.Errorf("received %02x %q, %v; want the end of the connection alone", first, payload, err)
		}
		p.conn.Close()
	}

	p := serve(t, options(), plain).dialRaw(t, "/", offering("ZWS2.0/NULL,ZWS2.0"))
	p.send(ready)
	if _, got, err := p.receive(); err != nil || !strings.HasPrefix(got, "\x02\x05READY") {
		t.Fatalf("%q, %v; want READY", got, err)
	}
	p.write(frame(0x81, "text"))
	p.expectClose(1003, "text frame: this protocol is binary") // after READY as any other
}

// TestReadyFollowsAccept: neither READY nor what a dialect has instead is sent before the
// pending login is accepted.
func TestReadyFollowsAccept(t *testing.T) {
	for name := range clients(new(zws.Options), "") {
		t.Run(name, func(t *testing.T) {
			o := options()
			opening, open := make(chan *zws.Login), make(chan struct{})
			s := serveWith(t, o, plain, after(func(_ context.Context, l *zws.Login) error {
				opening <- l
				<-open
				return nil
			}), echo)
			dialled := make(chan error)
			go func() {
				c, err := zws.Dial(t.Context(), s.url(), clients(&o, "user")[name])
				if err == nil {
					c.Close()
				}
				dialled <- err
			}()
			l := <-opening
			if l.Reply.Status != zap.OK || string(l.RoutingID) != "user" || l.SocketType != zmtp.DEALER {
				t.Errorf("login %+v", l)
			}
			select {
			case err := <-dialled:
				t.Errorf("Dial returned %v before the login was accepted", err)
			default:
			}
			close(open)
			if err := <-dialled; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRoutingIDLimit: 255 bytes are accepted, 256 are not.
func TestRoutingIDLimit(t *testing.T) {
	s := serve(t, options(), plain)
	p := s.dialRaw(t, "/", offering("ZWS2.0"))
	p.send("\x00" + strings.Repeat("i", 255))
	p.expect("\x00us")
	p = s.dialRaw(t, "/", offering("ZWS2.0"))
	p.send("\x00" + strings.Repeat("i", 256))
	p.expectClose(1002, "routing id of 256 bytes: at most 255 are allowed")

	ready := func(n int) string {
		return fmt.Sprintf("\x02\x05READY\x08Identity\x00\x00%c%c%s", n>>8, n&255, strings.Repeat("i", n))
	}
	p = s.dialRaw(t, "/", offering("ZWS2.0/NULL"))
	p.write(frame(0x82, "\x02\x05READY\x08Identity\x00\x00\x00\xff"+strings.Repeat("i", 255)))
	p.expect("\x02\x05READY" + routerMetadata)
	p = s.dialRaw(t, "/", offering("ZWS2.0/NULL"))
	p.send(ready(256))
	p.expectClose(1002, "routing id of 256 bytes: at most 255 are allowed")
}
