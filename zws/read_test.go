package zws

import (
	"bytes"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
)

// maskedFrame returns a client's frame, which begins with first.
func maskedFrame(first byte, payload []byte) []byte {
	key := [4]byte{1, 2, 3, 4}
	p := wsframe.AppendControl(nil, first, nil)[:1]
	switch n := len(payload); {
	case n < 126:
		p = append(p, 0x80|byte(n))
	case n < 1<<16:
		p = append(p, 0x80|126, byte(n>>8), byte(n))
	default:
		p = append(p, 0x80|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	p = append(p, key[:]...)
	for i, b := range payload {
		p = append(p, b^key[i%4])
	}
	return p
}

// TestWhole cuts the input at every byte.
func TestWhole(t *testing.T) {
	last := func(n int) []byte { return maskedFrame(wsframe.Binary, append([]byte{flagLast}, make([]byte, n)...)) }
	more := maskedFrame(wsframe.Binary, []byte{flagMore, 'm'})
	tests := []struct {
		name    string
		data    []byte
		message int // length of the first message in bytes; 0: there is none
	}{
		{"one frame", last(5), len(last(5))},
		{"frame of 125", last(124), len(last(124))},
		{"frame of 126", last(125), len(last(125))},
		{"long frame", last(300), len(last(300))},
		{"longer frame", last(1 << 16), len(last(1 << 16))},
		{"two frames", append(bytes.Clone(more), last(0)...), len(more) + len(last(0))},
		{"more to come", more, 0},
		{"ping before", append(maskedFrame(wsframe.Ping, []byte("x")), last(1)...), len(maskedFrame(wsframe.Ping, []byte("x"))) + len(last(1))},
		{"ping only", maskedFrame(wsframe.Ping, nil), 0},
		{"fragmented", maskedFrame(0x02, []byte{flagLast}), 0},
		{"empty, which is an error", maskedFrame(wsframe.Binary, nil), 6},
		{"announces too much", []byte{wsframe.Binary, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0}, 0},
		{"not masked, which is an error", []byte{wsframe.Binary, 1, 0, 0, 0, 0, 0, 0}, 0},
	}
	for _, tt := range tests {
		for cut := 0; cut <= len(tt.data); cut++ {
			if cut == 1000 {
				cut = len(tt.data) - 3 // the middle of a long frame makes no difference
			}
			w := &reader{rest: tt.data[:cut]}
			want := tt.message > 0 && cut >= tt.message
			if got, _ := w.whole(zwsFrames); got != want {
				t.Fatalf("%s: %d bytes: %v, want %v", tt.name, cut, got, want)
			}
		}
	}
}

// TestWholeCommand: a command that has arrived is not taken for a message, for which a handler would
// hold back the one before.
func TestWholeCommand(t *testing.T) {
	for flag, want := range map[byte]bool{flagLast: true, flagCommand: false} {
		data := maskedFrame(wsframe.Binary, []byte{flag, 'x'})
		w := &reader{rest: data}
		if whole, message := w.whole(zwsFrames); !whole || message != want {
			t.Errorf("flag %02x: whole %v, message %v; want a whole one, %v", flag, whole, message, want)
		}
	}
}
