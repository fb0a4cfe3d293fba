//go:build !race

package queue

import "testing"

// TestAllocations checks that a delivery does not allocate, whether the codec is shared or not.
// It does not run with the race detector, which makes sync.Pool drop items at random.
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
			t.Errorf("%v allocations for each delivery, want 0", n)
		}
	}
}
