package zws_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
)

// TestHistoryFaults: what a client that asked for history must not send.
func TestHistoryFaults(t *testing.T) {
	long := strings.Repeat("q", 256)
	for _, test := range []struct {
		wire   int
		send   []string
		reason string
	}{
		{0, []string{"\x02\x06RESUME"}, "malformed RESUME: the lengths in it do not add up"},
		{0, []string{"\x02\x06RESUME\x03p0"}, "malformed RESUME: the lengths in it do not add up"},
		{0, []string{"\x02\x06RESUME\x00\x00"}, "malformed RESUME: the lengths in it do not add up"},
		{0, []string{"\x02\x06RESUME\x02p0\x00\x01a\x00\x02b"}, "malformed RESUME: the lengths in it do not add up"},
		{0, []string{"\x02\x03ACK"}, "malformed ACK: the lengths in it do not add up"},
		{0, []string{"\x02\x03ACK\x01"}, "malformed ACK: the lengths in it do not add up"},
		{0, []string{"\x02\x03ACK\x01aa"}, "malformed ACK: the lengths in it do not add up"},
		{1, []string{`{"op":"resume","topics":["a"]}`}, `op "resume" takes topics and at`},
		{1, []string{`{"op":"resume","topics":"a","at":""}`}, "not a valid request: an array of topics expected"},
		{1, []string{`{"op":"resume","topics":[1],"at":""}`}, `topics: a frame must be a string or {"b64":"…"}`},
		{1, []string{`{"op":"resume","topics":[],"at":7}`}, "at must be a string"},
		{1, []string{`{"op":"ack"}`}, `op "ack" takes at`},
		{1, []string{`{"op":"ack","at":"","last":true}`}, `op "ack" takes at`},
		{1, []string{`{"op":"unsubscribe","topic":"a","last":true}`}, `op "unsubscribe" takes topic`},
		{1, []string{`{"op":"subscribe","topic":"a","last":1}`}, "last must be true or false"},
		{1, []string{`{"op":"nack","at":""}`}, `unknown op "nack" (one of login, subscribe, unsubscribe, send, ping, resume, ack)`},
		{1, []string{`{"op":"login","token":"t","history":true}`}, "second login: only a BEARER login can be renewed, by a token"},
	} {
		w := historyWires[test.wire]
		t.Run(fmt.Sprintf("%s %q", w.offer, test.send), func(t *testing.T) {
			h := newHistorian()
			p := w.dial(t, h.serve(t, true), w.login)
			for _, sent := range test.send {
				p.write(frame(w.kind, sent))
			}
			w.expectFault(p, test.reason)
			h.nothingElse(t)
		})
	}
	for _, w := range historyWires { // the rules of all dialects
		for _, test := range []struct {
			name, reason string
			send         []string
		}{
			{"resume twice", "resume after a subscription: it must come first, and once", []string{w.resume, w.resume}},
			{"resume after a subscription", "resume after a subscription: it must come first, and once", []string{w.subscribe, w.resume}},
			{"resume after last", "resume after a subscription: it must come first, and once", []string{w.last, w.resume}},
		} {
			t.Run(w.offer+" "+test.name, func(t *testing.T) {
				p := w.dial(t, newHistorian().serve(t, true), w.login)
				for _, sent := range test.send {
					p.write(frame(w.kind, sent))
				}
				w.expectFault(p, test.reason)
			})
		}
		t.Run(w.offer+" refused", func(t *testing.T) {
			h := newHistorian()
			h.refuse = &zws.CloseError{Code: 1002, Reason: "not this one"}
			p := w.dial(t, h.serve(t, true), w.login)
			p.write(frame(w.kind, w.last))
			w.expectFault(p, "not this one")
		})
	}
	s := newHistorian().serve(t, true)
	t.Run("long queue name", func(t *testing.T) {
		p := s.dialRaw(t, "/", offering("ZWS2.0+NULL"))
		p.send("\x02\x05READY" + property("Socket-Type", "SUB") + "\x05Queue\x00\x00\x01\x00" + long)
		p.expectClose(1002, "queue name of 256 bytes: at most 255 are allowed")
		p = s.dialJSON(t)
		p.say(`{"op":"login","queue":"` + long + `"}`)
		p.hearError(1002, "queue name of 256 bytes: at most 255 are allowed")
	})
	t.Run("not a subscriber", func(t *testing.T) {
		p := s.dialRaw(t, "/", offering("ZWS2.0+NULL"))
		p.send("\x02\x05READY" + property("Socket-Type", "DEALER") + property("History", "1"))
		p.expect("\x02\x05READY" + pubMetadata + property("History", "1"))
		p.send("\x02\x03ACK\x00")
		p.send("\x02\x04LAST")
		p.expectClose(1002, "this route has no subscriptions: its clients are DEALER")
	})
}

// TestHistoryPositions: a position that no server has made is unknown, not a fault.
func TestHistoryPositions(t *testing.T) {
	long := strings.Repeat("p", 65)
	for _, test := range []struct {
		wire int
		send string
	}{
		{0, "\x02\x03ACK\x41" + long},
		{1, `{"op":"ack","at":""}`},
		{1, `{"op":"ack","at":"cDE="}`},
		{1, `{"op":"ack","at":"c!"}`},
		{1, `{"op":"ack","at":"cD\nE"}`},
		{1, `{"op":"ack","at":"cDF"}`}, // its last bits are not 0
		{1, `{"op":"ack","at":"` + strings.Repeat("cDE", 100) + `"}`},
		{2, "\x13\x00\x00\x00\x07\x41" + long},
	} {
		w := historyWires[test.wire]
		h := newHistorian()
		p := w.dial(t, h.serve(t, true), w.login)
		p.write(frame(w.kind, test.send))
		h.expect(t, `ack [] at ""`)
	}
}

// TestHistoryMuxFaults: what a client of ZWSMUX1.0 must not send.
func TestHistoryMuxFaults(t *testing.T) {
	w := historyWires[2]
	for _, test := range []struct{ name, send, reason string }{
		{"resume cut short", "\x10\x00\x00\x00\x07\x02p", "op 10 is too short or too long"},
		{"a topic cut short", "\x10\x00\x00\x00\x07\x02p0\x00\x02a", "op 10 is too short or too long"},
		{"half a length", "\x10\x00\x00\x00\x07\x02p0\x00", "op 10 is too short or too long"},
		{"ack cut short", "\x13\x00\x00\x00\x07\x02p", "op 13 is too short or too long"},
		{"ack and more", "\x13\x00\x00\x00\x07\x02p1x", "op 13 is too short or too long"},
		{"last without a channel", "\x14\x00\x00\x00", "op 14 is too short or too long"},
		{"a channel never opened", "\x14\x00\x00\x00\x08", "channel 8 was never opened"},
		{"opened", "\x0e\x00\x00\x00\x07\x00\x01\x00\x00\x01", "only servers send op 0e"},
		{"marked", "\x0f\x00\x00\x00\x07\x00", "only servers send op 0f"},
		{"resumed", "\x11\x00\x00\x00\x07\x01\x00", "only servers send op 11"},
		{"live", "\x12\x00\x00\x00\x07\x00", "only servers send op 12"},
		{"unknown flags", "\x0d\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00", "unknown flags 02 in op 0d"},
		{"a name without its flag", "\x0d\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01q", "a queue's name in op 0d without its flag"},
		{"a number again", muxOpen + "\x00\x00", "channel 7: numbers must increase, and 7 was opened"},
		{"too early", "\x0d\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x05/wait\x00\x00", "channel 8: op 14 before the channel is open"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHistorian()
			p := w.dial(t, h.serve(t, true), w.login)
			p.send(test.send)
			if test.name == "too early" {
				p.send("\x14\x00\x00\x00\x08")
			}
			p.expectClose(1002, test.reason)
		})
	}
	t.Run("closed", func(t *testing.T) { // the client may not know yet
		h := newHistorian()
		p := w.dial(t, h.serve(t, true), w.login)
		out := <-h.out
		out.channel.Close(nil)
		p.expect("\x07\x00\x00\x00\x07\x03\xe8")
		p.send(w.ack)
		p.send("\x0d\x00\x00\x00\x08\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00")
		p.expect("\x0e\x00\x00\x00\x08\x00\x01\x00\x00\x01")
		h.nothingElse(t)
	})
}

// TestHistoryMuxCredit: a message with a mark costs all of its bytes; what is not a message costs
// nothing, and keeps its place.
func TestHistoryMuxCredit(t *testing.T) {
	const marked = "\x02p1" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x05\x00\x00\x00\x01a" // 20 bytes
	w := historyWires[2]
	h := newHistorian()
	login := append([]string{}, w.login...)
	login[2] = "\x0d\x00\x00\x00\x07\x00\x00\x00\x15\x03SUB\x00\x00\x02/a\x00\x00" // credit 21
	p := w.dial(t, h.serve(t, true), login)
	out := <-h.out
	codec, _ := out.channel.Codec()
	shared := codec.AppendMessage(nil, message("a"), []byte("p1"))
	if string(shared) != marked {
		t.Fatalf("%x", shared)
	}
	shared = append(append(shared, shared...), shared...)
	out.put(func(b *zws.Batch) { b.Encoded(shared) }, func(b *zws.Batch) { b.Live([]byte("p1")) })
	p.expect("\x0f\x00\x00\x00\x07" + marked + marked) // the second takes it to -19
	p.send("\x06\x00\x00\x00\x07\x00\x00\x00\x13")     // 0
	p.send("\x0d\x00\x00\x00\x08\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00")
	p.expect("\x0e\x00\x00\x00\x08\x00\x01\x00\x00\x01")
	p.send("\x06\x00\x00\x00\x07\x00\x00\x00\x01") // 1, so one more
	p.expect("\x0f\x00\x00\x00\x07" + marked)
	p.send("\x06\x00\x00\x00\x07\x00\x00\x00\x14") // 1
	p.expect("\x12\x00\x00\x00\x07\x02p1")
}
