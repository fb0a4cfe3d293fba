//go:build !race

package queue

import "testing"

// TestAllocations: nothing is allocated for a delivery, on either way. (The race
// detector makes sync.Pool forget on purpose.)
func TestAllocations(t *testing.T) {
	for _, codec := range []Codec{nil, lines{}} {
		q := newQueue(Options{Codec: codec})
		c := chunk(codec, "topic,payload", "topic,payload")
		var b sink
		deliver := func() {
			q.PutChunk(c)
			q.Next(&b)
			q.Next(&b)
		}
		deliver()
		if n := testing.AllocsPerRun(100, deliver); n > 0 {
			t.Errorf("%v allocations a delivery, want none", n)
		}
	}
}
