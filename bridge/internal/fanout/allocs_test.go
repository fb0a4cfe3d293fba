//go:build !race

package fanout

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestAllocations: nothing is allocated for a message from upstream, nor for a delivery.
// (The race detector makes sync.Pool forget on purpose.)
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
		t.Errorf("%v allocations an upstream read, want none", n)
	}
}
