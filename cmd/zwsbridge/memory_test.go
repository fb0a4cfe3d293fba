package main

import "testing"

// TestStorm: memory is given back once after much was allocated, and not while that goes on.
func TestStorm(t *testing.T) {
	var s storm
	allocated := uint64(0)
	for i, look := range []struct {
		fresh uint64
		over  bool
	}{
		{fresh: worthwhile / 2},                // starting is no storm
		{fresh: calm + 1},                      // it begins
		{fresh: 4 * worthwhile},                // and goes on
		{fresh: calm, over: true},              // and is over
		{fresh: 0},                             // nothing new
		{fresh: calm},                          // a little: not worth it
		{fresh: worthwhile - calm - 1},         // still not, and not calm
		{fresh: 1, over: true},                 // now it is
		{fresh: worthwhile}, {fresh: calm + 1}, // another one
		{fresh: 0, over: true},
	} {
		allocated += look.fresh
		if got := s.over(allocated); got != look.over {
			t.Errorf("look %d, after %d octets more: over is %v", i, look.fresh, got)
		}
	}
}
