package wsframe

import (
	"slices"
	"strings"
	"testing"
)

// TestTracker passes frames in pieces of every size.
func TestTracker(t *testing.T) {
	const long = "length of a frame in more bytes than needed"
	var good []byte
	for _, payload := range []int{0, 1, 125, 126, 300, 65535, 65536} {
		extra := map[bool]int{true: 2, false: 8}[payload < 65536]
		if payload < 126 {
			extra = 0
		}
		good = appendMasked(good, Binary, extra, make([]byte, payload))
	}
	good = appendMasked(good, Ping, 0, nil)
	good = appendMasked(good, Pong, 0, []byte("p"))
	good = appendMasked(good, 0x02, 0, []byte("fragment"))
	good = appendMasked(good, 0x80, 0, nil)
	for _, tt := range []struct {
		name  string
		data  []byte
		fault string
	}{
		{"none", nil, ""},
		{"close without a code", appendMasked(nil, Close, 0, nil), ""},
		{"close with a code", appendMasked(nil, Close, 0, []byte{3, 232}), ""},
		{"close of one byte", appendMasked(nil, Close, 0, []byte{3}), "close frame of one byte: a code has two"},
		{"0 in 2 bytes", appendMasked(nil, Binary, 2, nil), long},
		{"125 in 2 bytes", appendMasked(nil, Text, 2, make([]byte, 125)), long},
		{"0 in 8 bytes", appendMasked(nil, Binary, 8, nil), long},
		{"65535 in 8 bytes", appendMasked(nil, Binary, 8, make([]byte, 65535)), long},
		{"fragment of 3 in 2 bytes", appendMasked(nil, 0x02, 2, make([]byte, 3)), long},
		{"ping of 3 in 2 bytes", appendMasked(nil, Ping, 2, make([]byte, 3)), long},
		{"close of 2 in 8 bytes", appendMasked(nil, Close, 8, make([]byte, 2)), long},
		{"not masked", []byte{Binary, 126, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ""},
		{"announces too much", []byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x88\x81"), ""},
	} {
		data := append(slices.Clone(good), tt.data...)
		for _, size := range []int{1, 2, 3, 5, 13, 14, 257, 1000, len(data)} {
			var tracker Tracker
			passed, fault := 0, ""
			for piece := range slices.Chunk(data, size) {
				var n int
				if n, fault = tracker.Track(piece); fault != "" {
					passed += n
					break
				}
				passed += n
			}
			if fault != tt.fault {
				t.Errorf("%s in pieces of %d: %q, want %q", tt.name, size, fault, tt.fault)
			}
			if fault != "" && (passed < len(good) || passed >= len(good)+MaxMaskedHeader) {
				t.Errorf("%s in pieces of %d: %d bytes passed, %d come before the frame", tt.name, size, passed, len(good))
			}
		}
	}
}

func TestTrackerLeft(t *testing.T) {
	var tracker Tracker
	tracker.Track(appendMasked(nil, 0x02, 2, []byte(strings.Repeat("m", 1000)))[:8+100])
	if n, last := tracker.Left(); n != 900 || last {
		t.Errorf("%d bytes left, last %v; want 900 of a fragment", n, last)
	}
	tracker.Track(make([]byte, 900))
	tracker.Track(appendMasked(nil, 0x80, 0, []byte("m"))[:6])
	if n, last := tracker.Left(); n != 1 || !last {
		t.Errorf("%d bytes left, last %v; want 1 of the last frame", n, last)
	}
}

// TestReach passes two frames in pieces: none has bytes of both.
func TestReach(t *testing.T) {
	for _, second := range [][]byte{nil, appendMasked(nil, Ping, 0, nil), []byte("\x82\x01m"), []byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x88")} {
		for _, extra := range []int{0, 2, 8} {
			for _, size := range []int{0, 1, 9, 300} {
				if extra == 0 && size > 125 {
					continue
				}
				first := appendMasked(nil, Binary, extra, make([]byte, size))
				data := append(slices.Clone(first), second...)
				for cut := 1; cut <= len(data); cut++ {
					var tracker Tracker
					for at := 0; at < len(data); {
						end := len(data)
						if at < cut {
							end = cut
						}
						n := tracker.Reach(data[at:end])
						if n < 1 || at < len(first) && at+n > len(first) {
							t.Fatalf("frame of %d bytes, %d bytes in all, cut at %d: %d bytes from %d", len(first), len(data), cut, n, at)
						}
						if _, fault := tracker.Track(data[at : at+n]); fault != "" {
							break // a length in more bytes than needed
						}
						at += n
						if at == len(first) && !tracker.Between() {
							t.Fatalf("frame of %d bytes, cut at %d: not between frames after it", len(first), cut)
						}
					}
				}
			}
		}
	}
}

// FuzzTracker: pieces make no difference.
func FuzzTracker(f *testing.F) {
	f.Add([]byte("\x82\x85\x01\x02\x03\x04hello\x88\x81\x01\x02\x03\x04\x03"), 3)
	f.Add([]byte("\x82\xfe\x00\x01\x01\x02\x03\x04h"), 1)
	f.Fuzz(func(t *testing.T, p []byte, size int) {
		if size < 1 {
			return
		}
		var whole, pieces Tracker
		_, want := whole.Track(p)
		got := ""
		for piece := range slices.Chunk(p, size) {
			if _, got = pieces.Track(piece); got != "" {
				break
			}
		}
		if got != want {
			t.Errorf("%x: %q, in pieces of %d %q", p, want, size, got)
		}
		var reaching Tracker
		for rest, got := p, ""; len(rest) > 0 && got == ""; {
			piece := rest[:min(size, len(rest))]
			piece = piece[:reaching.Reach(piece)]
			if _, got = reaching.Track(piece); got != "" && got != want {
				t.Errorf("%x: %q, frame by frame in pieces of %d %q", p, want, size, got)
			}
			if rest = rest[len(piece):]; len(rest) == 0 && got != want {
				t.Errorf("%x: %q, frame by frame in pieces of %d %q", p, want, size, got)
			}
		}
	})
}
