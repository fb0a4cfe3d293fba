package zws_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestCause: the code and status for each kind of error.
func TestCause(t *testing.T) {
	tooMany := &zws.CloseError{Code: 4429, Reason: "too many attempts"}
	for _, test := range []struct {
		err    error
		code   zws.Code
		status zap.Status
	}{
		{nil, 1000, 0},
		{&zmtp.RefusedError{Status: 300}, 4300, 0},
		{&zmtp.RefusedError{Status: 400}, 4400, 400},
		{&zmtp.RefusedError{Status: 500}, 4500, 500},
		{&zmtp.RefusedError{Reason: "no status"}, 4400, 400},
		{&zmtp.RefusedError{Status: 300, Err: tooMany}, 4429, 0}, // a reply's own cause
		{fmt.Errorf("wrapped: %w", tooMany), 4429, 0},
		{errors.Join(nil, tooMany), 4429, 0},
		{&zmtp.SocketTypeError{Ours: zmtp.SUB, Peer: zmtp.REQ}, 4406, 400},
		{fmt.Errorf("frame: %w", zmtp.ErrTooLarge), 1009, 0},
		{fmt.Errorf("frame: %w", zmtp.ErrProtocol), 1002, 0},
		{zmtp.ErrHandshakeTimeout, 4408, 0},
		{context.Canceled, 1001, 0},
		{fmt.Errorf("%w: https://other.example", zws.ErrOrigin), 4403, 400},
		{errors.New("disk on fire"), 1011, 0},
	} {
		cause := zws.Cause(test.err)
		if cause.Code != test.code || cause.Status != test.status {
			t.Errorf("%v: %d status %d, want %d status %d", test.err, cause.Code, cause.Status, test.code, test.status)
		}
		if test.err != nil && !errors.Is(cause, test.err) && !errors.Is(test.err, cause) && test.code != 1002 {
			t.Errorf("%v: the cause %v does not lead to it", test.err, cause)
		}
		if strings.Contains(cause.Reason, "disk") {
			t.Errorf("the client learns of an internal error: %q", cause.Reason)
		}
	}
}

// TestFinal: the codes after which trying again is useless, as in the table of cmd/zwsbridge/manual/errors.md.
func TestFinal(t *testing.T) {
	for code, final := range map[zws.Code]bool{
		1000: false, 1001: false, 1002: true, 1003: true, 1006: false, 1009: true, 1011: false,
		4300: false, 4400: true, 4401: true, 4403: true, 4404: true, 4406: true, 4408: false, 4429: false,
		4500: true, 4502: true, 4503: false, 4504: false, 4508: false,
	} {
		if code.Final() != final {
			t.Errorf("%d: final is %v", code, code.Final())
		}
	}
}

// TestCloseErrorText: the text has the code, the reason that the client sees, and the error
// that only the log shows.
func TestCloseErrorText(t *testing.T) {
	cause := &zws.CloseError{Code: 4503, Reason: "backend 2 cannot be reached", Err: errors.New("tcp://10.0.0.7:5556: refused")}
	if got, want := cause.Error(), "4503 backend 2 cannot be reached: tcp://10.0.0.7:5556: refused"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestCodecs: dialects with the same encoding share one codec, so that a message is encoded
// once for all their clients.
func TestCodecs(t *testing.T) {
	s := serve(t, options(), plain)
	codecs := map[string]zws.Codec{}
	for _, test := range []struct{ offer, target, say string }{
		{"ZWS2.0", "/", "\x00"},
		{"ZWS2.0/NULL", "/", "\x02\x05READY" + dealerMetadata},
		{"ZWS1.0", "/?type=REQ", "\x00"},
		{"WSNetMQ", "/", "\x00"},
		{"ZWS1.0", "/?type=REQ&connect=x", "0"},
	} {
		p := s.dialRaw(t, test.target, offering(test.offer))
		p.send(test.say)
		conn := (<-s.accepted).conn
		codec, ok := conn.Channel().Codec()
		if !ok || conn.Channel().Conn() != conn {
			t.Fatalf("%s shares no codec", test.offer)
		}
		codecs[conn.Login().Dialect] = codec
	}
	for name, codec := range codecs {
		if same := codec == codecs["ZWS2.0"]; same != (name != "webtalk") {
			t.Errorf("%s has the codec of ZWS2.0: %v", name, same)
		}
	}
	o := options()
	curved := serve(t, o, plain)
	c, err := zws.Dial(t.Context(), curved.url(), clients(&o, "user")["ZWS2.0/CURVE"])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if codec, ok := (<-curved.accepted).conn.Channel().Codec(); ok {
		t.Errorf("CURVE shares the codec %v", codec)
	}
}

// TestNoExtensions: the server does not agree to compression, which libzmq cannot read.
func TestNoExtensions(t *testing.T) {
	p := serve(t, options(), plain).dialRaw(t, "/", offering("ZWS2.0"), "Sec-WebSocket-Extensions: permessage-deflate")
	if strings.Contains(p.head, "Extensions") {
		t.Errorf("answered %q", p.head)
	}
}
