package zws_test

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
)

// TestHistoryNotKept: on a route without a history messages have no positions, and what the
// client asks is passed on nevertheless.
func TestHistoryNotKept(t *testing.T) {
	for _, w := range historyWires {
		t.Run(w.offer, func(t *testing.T) {
			h := newHistorian()
			s := h.serve(t, false)
			p := w.dial(t, s, w.without)
			out := <-h.out
			p.write(frame(w.kind, w.resume))
			h.expect(t, `resume ["a/" ""] at "p0"`)
			out.put(replay)
			w.hear(p, w.unmarked...)
			if codec, _ := out.channel.Codec(); codec != codecOf(out.channel.Login()) {
				t.Error("the codec marks messages")
			}
		})
	}
}

func codecOf(l *zws.Login) zws.Codec {
	codec, _ := l.Codec(false)
	return codec
}

// TestHistoryNotAsked: a client that did not ask for history gets the bytes that it always got,
// and what it may not send is refused as it always was.
func TestHistoryNotAsked(t *testing.T) {
	for i, test := range []struct {
		login          []string
		replay         []string
		unknown        string // close reason of RESUME; empty if it is ignored
		lastsubscribes string // the same of LAST
	}{
		{[]string{"\x02\x05READY" + property("Socket-Type", "SUB"), "\x02\x05READY" + pubMetadata},
			[]string{"\x01a", "\x001", "\x01a", "\x002", "\x00b"}, "", ""},
		{[]string{`{"op":"login","history":false}`, `{"op":"ready"}`},
			[]string{`{"op":"message","frames":["a","1"]}`, `{"op":"message","frames":["a","2"]}`, `{"op":"message","frames":["b"]}`},
			`unknown key "topics"`, `unknown key "last"`},
		{[]string{"\x01\x04NULL", "\x02\x00\x00\x00\x64", "\x03" + muxOpen[1:], "\x04\x00\x00\x00\x07\x00\x01\x00\x00"},
			[]string{
				"\x05\x00\x00\x00\x07\x00\x00\x00\x0a\x00\x00\x00\x01a\x00\x00\x00\x011" +
					"\x00\x00\x00\x0a\x00\x00\x00\x01a\x00\x00\x00\x012" +
					"\x00\x00\x00\x05\x00\x00\x00\x01b",
			},
			"unknown op 10", "unknown op 14"},
	} {
		w := historyWires[i]
		t.Run(w.offer, func(t *testing.T) {
			h := newHistorian()
			s := h.serve(t, true)
			for _, fault := range []struct{ sent, reason string }{{w.resume, test.unknown}, {w.last, test.lastsubscribes}} {
				p := w.dial(t, s, test.login)
				out := <-h.out
				if l := out.channel.Login(); l.History || l.Queue != nil {
					t.Errorf("login: history %v, queue %v", l.History, l.Queue)
				}
				out.put(replay)
				w.hear(p, test.replay...)
				codec, _ := out.channel.Codec()
				if marking, _ := out.channel.Login().Codec(true); codec != marking {
					t.Error("another codec on routes with a history")
				}
				p.write(frame(w.kind, fault.sent))
				switch {
				case fault.reason == "":
					p.write(frame(w.kind, w.subscribe))
					h.expect(t, `["\x01b/"]`)
				case w.kind == 0x81:
					p.hearError(1002, fault.reason)
				default:
					p.expectClose(1002, fault.reason)
				}
			}
			h.nothingElse(t)
		})
	}
}
