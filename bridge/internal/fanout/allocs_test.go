//go:build !race

package fanout

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestAllocations checks that neither a message from upstream nor a delivery allocates. It
// does not run with the race detector, which makes sync.Pool drop items at random.
func TestAllocations(t *testing.T) {
	h := New(Options{})
	for i := range 100 {
		codec := []queue.Codec{lines(""), nil}[i%2]
		m := h.Join(null{}, MemberOptions{Codec: codec})
		defer m.Leave()
		m.Subscribe([]byte("a"), false)
		m.Subscribe(fmt.Appendf(nil, "private/%d", i), false)
	}
	message := zmtp.Message{[]byte("a/b/c"), []byte("payload")}
	private := zmtp.Message{[]byte("private/7"), []byte("payload")}
	read := func() {
		for range 20 {
			h.Message(message)
		}
		h.Message(private)
		h.Flush()
	}
	read()
	if n := testing.AllocsPerRun(100, read); n > 0 {
		t.Errorf("%v allocations for each upstream read, want 0", n)
	}
}
