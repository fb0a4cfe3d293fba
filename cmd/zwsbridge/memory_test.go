package main

import "testing"

// TestBurst checks that the end of a burst is reported once, and not while it goes on.
func TestBurst(t *testing.T) {
	var b burst
	total := uint64(0)
	for i, tick := range []struct {
		allocated uint64
		ended     bool
	}{
		{allocated: minBurstBytes / 2},                          // the start of the program is not a burst
		{allocated: quietBytes + 1},                             // a burst begins
		{allocated: 4 * minBurstBytes},                          // goes on
		{allocated: quietBytes, ended: true},                    // and ends
		{allocated: 0},                                          // reported once
		{allocated: quietBytes},                                 // too little for a release
		{allocated: minBurstBytes - quietBytes - 1},             // still too little, and not quiet
		{allocated: 1, ended: true},                             // enough since the last release
		{allocated: minBurstBytes}, {allocated: quietBytes + 1}, // another burst
		{allocated: 0, ended: true},
	} {
		total += tick.allocated
		if got := b.ended(total); got != tick.ended {
			t.Errorf("tick %d, %d bytes later: ended = %v, want %v", i, tick.allocated, got, tick.ended)
		}
	}
}

// TestGrowth: collections come early while much memory grows, and until it has settled.
func TestGrowth(t *testing.T) {
	for _, off := range []bool{false, true} {
		g := growth{off: off}
		for i, tick := range []struct {
			live    uint64
			percent int // 0: unchanged
		}{
			{4 << 20, 0}, {5 << 20, usualPercent}, {16 << 20, 50}, {32 << 20, growingPercent},
			{100 << 20, 0}, {100 << 20, 0}, {101 << 20, 0}, {101 << 20, usualPercent},
			{200 << 20, growingPercent}, {200 << 20, 0}, {200 << 20, 0}, {300 << 20, 0},
			{300 << 20, 0}, {290 << 20, 0}, {290 << 20, usualPercent}, {290 << 20, 0},
			{600 << 20, growingPercent},
		} {
			percent, changed := g.tick(tick.live)
			if want := tick.percent; changed != (want != 0 && !off) || changed && percent != want {
				t.Errorf("off %v, tick %d: %d, %v, want %d", off, i, percent, changed, want)
			}
		}
	}
}
