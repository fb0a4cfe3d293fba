package wsframe

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// appendMasked builds a client's frame, whose length is written in extra bytes (0, 2 or 8).
func appendMasked(dst []byte, first byte, extra int, payload []byte) []byte {
	dst = append(dst, first)
	switch extra {
	case 0:
		dst = append(dst, masked|byte(len(payload)))
	case 2:
		dst = binary.BigEndian.AppendUint16(append(dst, masked|126), uint16(len(payload)))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(len(payload)))
	}
	key := [4]byte{1, 2, 3, 4}
	dst = append(dst, key[:]...)
	for i, b := range payload {
		dst = append(dst, b^key[i%4])
	}
	return dst
}

// TestAppendHeader checks the boundaries between the three forms of a length.
func TestAppendHeader(t *testing.T) {
	for _, test := range []struct {
		size int
		want string
	}{
		{0, "\x82\x00"},
		{125, "\x82\x7d"},
		{126, "\x82\x7e\x00\x7e"},
		{65535, "\x82\x7e\xff\xff"},
		{65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
	} {
		got := AppendHeader([]byte("x"), Binary, test.size)
		if string(got) != "x"+test.want {
			t.Errorf("%d: %q, want %q", test.size, got, test.want)
		}
		if len(got)-1 > MaxHeader {
			t.Errorf("%d: %d bytes", test.size, len(got)-1)
		}
	}
}

func TestAppendControl(t *testing.T) {
	if got := AppendControl(nil, Pong, []byte("hi")); string(got) != "\x8a\x02hi" {
		t.Errorf("%q", got)
	}
	if got := AppendClose(nil, 0, "not sent"); string(got) != "\x88\x00" {
		t.Errorf("%q", got)
	}
	if got := AppendClose(nil, 4403, "no"); string(got) != "\x88\x04\x11\x33no" {
		t.Errorf("%q", got)
	}
	if got := AppendClose(nil, 1000, strings.Repeat("é", 100)); len(got) != 2+124 { // 61 times 2 bytes
		t.Errorf("%d bytes", len(got))
	}
}

// TestParseHeader cuts each header at every byte.
func TestParseHeader(t *testing.T) {
	for _, extra := range []int{0, 2, 8} {
		p := appendMasked(nil, Binary, extra, []byte("payload"))
		for cut := range len(p) + 1 {
			h, ok := ParseHeader(p[:cut])
			if want := cut >= 6+extra; ok != want {
				t.Errorf("length in %d bytes, cut at %d: %v", extra, cut, ok)
			}
			if !ok {
				continue
			}
			if h.First != Binary || h.Length != 6+extra || h.Payload != 7 || !h.Whole() || h.Control() {
				t.Errorf("%+v", h)
			}
		}
		h, _ := ParseHeader(p)
		if h.Unmask(p[h.Length:]); string(p[h.Length:]) != "payload" {
			t.Errorf("unmasked %q", p[h.Length:])
		}
	}
	tooLarge := binary.BigEndian.AppendUint64([]byte{Binary, masked | 127}, math.MaxUint64)
	for name, p := range map[string][]byte{
		"empty":      {},
		"not masked": {Binary, 1, 0, 0, 0, 0, 0, 0},
		"too large":  append(tooLarge, 0, 0, 0, 0),
	} {
		if h, ok := ParseHeader(p); ok {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// TestUnmask compares all alignments and lengths around a word with the definition (section 5.3).
func TestUnmask(t *testing.T) {
	h := Header{Key: [4]byte{0xA1, 2, 0xF3, 4}}
	for start := range 9 {
		for size := range 40 {
			buffer := make([]byte, start+size+1)
			for i := range buffer {
				buffer[i] = byte(7 * i)
			}
			want := bytes.Clone(buffer)
			for i := range size {
				want[start+i] ^= h.Key[i%4]
			}
			if h.Unmask(buffer[start : start+size]); !bytes.Equal(buffer, want) {
				t.Errorf("%d bytes from %d: %x, want %x", size, start, buffer, want)
			}
		}
	}
}

func TestHeaderIs(t *testing.T) {
	const text, binary = 1, 2
	for first := range 256 {
		h := Header{First: byte(first)}
		if h.Is(text) != (byte(first) == Text) || h.Is(binary) != (byte(first) == Binary) {
			t.Errorf("%02x: text %v, binary %v", first, h.Is(text), h.Is(binary))
		}
	}
}

func TestHeaderKinds(t *testing.T) {
	for first, want := range map[byte]struct{ whole, control bool }{
		Text: {true, false}, Binary: {true, false}, Close: {true, true}, Ping: {true, true}, Pong: {true, true},
		0x02: {false, false}, 0x00: {false, false}, 0x80: {false, false},
	} {
		h := Header{First: first}
		if h.Whole() != want.whole || h.Control() != want.control {
			t.Errorf("%02x: whole %v, control %v", first, h.Whole(), h.Control())
		}
	}
}

// FuzzHeader: what ParseHeader reads is what AppendHeader writes, but for the mask and for
// lengths in longer forms than needed.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("\x82\x85\x01\x02\x03\x04hello"))
	f.Add([]byte("\x82\xfe\x01\x00\x01\x02\x03\x04"))
	f.Add([]byte("\x01\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04"))
	f.Add([]byte("\x89\x80\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, ok := ParseHeader(p)
		if !ok {
			return
		}
		if h.Payload < 0 || h.Length > len(p) || h.Length > MaxMaskedHeader {
			t.Fatalf("%x is read as %+v", p, h)
		}
		again := AppendHeader(nil, h.First, h.Payload)
		if len(again)+4 > h.Length {
			t.Fatalf("%x is read as %+v, which needs %d bytes", p, h, len(again))
		}
		if len(again)+4 == h.Length {
			again[1] |= masked
			if again = append(again, h.Key[:]...); !bytes.Equal(again, p[:h.Length]) {
				t.Errorf("%x is written as %x", p[:h.Length], again)
			}
		}
	})
}

// FuzzClose: a close frame is never too long, and its reason is always UTF-8.
func FuzzClose(f *testing.F) {
	for _, seed := range []string{"", "login refused", strings.Repeat("é", 70), "\xff", strings.Repeat("\xff", 200)} {
		f.Add(seed, uint16(4400))
	}
	f.Fuzz(func(t *testing.T, reason string, code uint16) {
		p := AppendClose(nil, code, reason)
		if len(p) > 2+MaxControl || int(p[1]) != len(p)-2 {
			t.Fatalf("close frame of %d bytes", len(p))
		}
		if len(p) > 4 && !utf8.Valid(p[4:]) {
			t.Errorf("%q becomes %q", reason, p[4:])
		}
	})
}
