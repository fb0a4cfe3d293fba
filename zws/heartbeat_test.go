package zws_test

import (
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestHeartbeats checks the answer to a PING of the client in each dialect that has one.
func TestHeartbeats(t *testing.T) {
	const subMetadata = "\x0bSocket-Type\x00\x00\x00\x03SUB"
	o := muxOptions()
	o.ClientTypes = append(o.ClientTypes, zmtp.SUB)
	s := serve(t, o, plain)
	p := s.dialRaw(t, "/", offering("ZWS2.0+NULL"))
	p.send("\x02\x05READY" + subMetadata + "\x07Notices\x00\x00\x00\x011")
	p.expect("\x02\x05READY" + routerMetadata + "\x09Heartbeat\x00\x00\x00\x011")
	for _, context := range []string{"", "0123456789abcdef"} {
		p.send("\x02\x04PING\x00\x0a" + context)
		p.expect("\x02\x04PONG" + context)
	}
	for wrong, size := range map[string]string{"": "0", "\x00": "1", "\x00\x000123456789abcdef0": "19"} {
		p := s.dialRaw(t, "/", offering("ZWS2.0+NULL"))
		p.send("\x02\x05READY" + subMetadata)
		p.expect("\x02\x05READY" + routerMetadata) // without notifications as before
		p.send("\x02\x04PING" + wrong)
		p.expectClose(1002, "PING of "+size+" bytes: want 2 to 18")
	}

	mux := serveMux(t, muxOptions()).dialRaw(t, "/", offering("ZWSMUX1.0"))
	mux.send("\x01\x05PLAIN\x05alice\x06secret")
	mux.expect("\x02\x00\x00\x00\x64")
	mux.send("\x15ctx")
	mux.expect("\x16ctx")

	object := s.dialJSON(t)
	object.say(jsonLogin)
	object.hear(jsonReady)
	object.say(`{"op":"ping"}`)
	object.hear(`{"op":"pong"}`)
}

// TestHeartbeatFlood checks that a client that sends too many PINGs is told so, and that answers
// do not pile up before.
func TestHeartbeatFlood(t *testing.T) {
	o := options()
	s := serve(t, o, plain)
	p := s.dialRaw(t, "/", offering("ZWS2.0+NULL"))
	p.send("\x02\x05READY" + dealerMetadata)
	p.expect("\x02\x05READY" + routerMetadata)
	p.write([]byte(strings.Repeat(string(frame(0x82, "\x02\x04PING\x00\x00")), 10_000)))
	pongs := 0
	for {
		kind, text, err := p.receive()
		if err != nil {
			t.Fatal(err)
		}
		if kind == 0x88 {
			if !strings.Contains(text, "more than 100 pings in a second") {
				t.Errorf("closed with %q", text)
			}
			break
		}
		pongs++
	}
	if pongs > 100 {
		t.Errorf("%d answers", pongs)
	}
	if c := (<-s.accepted).conn; c.Cause().Code != zws.CodeTooMany {
		t.Errorf("ended with %v", c.Cause())
	}
}
