package zws_test

import (
	"encoding/binary"
	"testing"
	"time"
)

// TestMuxLostWithoutCredit: a client that gives no credit is not sent a frame for every few
// messages that are dropped for it, and what it was not told comes before it gets messages again.
func TestMuxLostWithoutCredit(t *testing.T) {
	s, channels := serveMuxChannels(t)
	p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
	p.send("\x01\x04NULL")
	p.expect("\x02\x00\x00\x00\x64")
	p.send("\x03\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x05/echo") // without credit
	p.expect("\x04\x00\x00\x00\x07\x00\x01\x00\x00")
	c := <-channels
	const times = 50 // a server accepts 100 pings a second
	var told uint64
	frames := 0
	receive := func() string {
		t.Helper()
		_, m, err := p.receive()
		if err != nil {
			t.Fatal(err)
		}
		if len(m) == 13 && m[0] == 8 {
			told += binary.BigEndian.Uint64([]byte(m[5:]))
			frames++
		}
		return m
	}
	start := time.Now()
	for range times {
		c.Lost(3)
		p.send("\x15?") // a ping, which is answered after what was to be told before
		for receive() != "\x16?" {
		}
	}
	if most := 2 + int(time.Since(start)/(100*time.Millisecond)); frames < 1 || frames > most {
		t.Errorf("%d frames about %d losses, want 1 to %d", frames, times, most)
	}
	p.send("\x06\x00\x00\x00\x07\x00\x00\x01\x00")
	for told < 3*times {
		receive()
	}
}
