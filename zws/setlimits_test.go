package zws_test

import (
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
)

// TestSetLimits changes the limits of a connection whose reader waits for a message already: the
// new ones count for that message, in every dialect.
func TestSetLimits(t *testing.T) {
	large := strings.Repeat("m", 5000)
	for name, c := range map[string]struct {
		offer string
		login []string // the client's part of the handshake, and of opening a channel
		kind  byte
		sends string
	}{
		"ZWS2.0":     {"ZWS2.0", []string{"\x00"}, 0x82, "\x00" + large},
		"PLAIN":      {"ZWS2.0+PLAIN", []string{helloCommand, initiate}, 0x82, "\x00" + large},
		"ZWSJSON1.0": {"ZWSJSON1.0", []string{`{"op":"login","token":"alice"}`}, 0x81, `{"op":"send","frames":["` + large + large + `"]}`},
		"ZWSMUX1.0":  {"ZWSMUX1.0+BEARER", nil, 0x82, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.MaxMessage, o.MaxHandshake = 1000, 1000
			if name == "ZWSMUX1.0" {
				setLimitsMux(t, o, large)
				return
			}
			s := serve(t, o, plain)
			p := s.dialRaw(t, "/", offering(c.offer))
			for _, step := range c.login {
				p.write(frame(c.kind, step))
				p.receive()
			}
			conn := (<-s.accepted).conn
			conn.SetLimits(20_000, 10)
			p.write(frame(c.kind, c.sends))
			if first, payload, err := p.receive(); err != nil || first&0x0f == 8 || len(payload) < len(large) {
				t.Fatalf("frame %x of %d bytes, %v; want the echo", first, len(payload), err)
			}
			conn.SetLimits(1000, 10)
			p.write(frame(c.kind, c.sends))
			if c.kind == 0x81 {
				p.hearError(1009, "larger than this server accepts")
				return
			}
			p.expectClose(1009, "larger than this server accepts")
		})
	}
}

func setLimitsMux(t *testing.T, o zws.Options, large string) {
	o.Multiplex = true
	s := serveMux(t, o)
	m := dialMux(t, s)
	conn := (<-s.accepted).conn
	c := open(t, m, zws.ChannelOptions{Route: "/"})
	conn.SetLimits(20_000, 10)
	roundTrip(t, c, large)
	conn.SetLimits(1000, 10)
	err := c.Send(t.Context(), [][]byte{[]byte(large)}) // may be refused before its last fragment is sent
	if err == nil {
		_, err = c.Recv(t.Context())
	}
	if zws.Cause(err).Code != 1009 {
		t.Errorf("after the limits were lowered: %v, want 1009", err)
	}
}
