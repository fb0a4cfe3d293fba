package fanout

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFlush checks that messages wait as long as Options.Flush and no longer.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Flush: func() time.Duration { return 5 * time.Millisecond }})
		c := &client{codec: lines("")}
		m := h.Join(c, MemberOptions{Codec: c.codec})
		defer m.Leave()
		m.Subscribe(nil, false)
		for round := range 3 {
			publish(h, "1")
			time.Sleep(4 * time.Millisecond)
			publish(h, "2")
			synctest.Wait()
			if c.puts() > 0 {
				t.Errorf("round %d: delivered after 4 ms", round)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if c.puts() != 1 {
				t.Errorf("round %d: %d chunks after 6 ms, want 1", round, c.puts())
			}
			if diff := cmp.Diff([]string{"1", "2"}, c.take()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// TestFlushChanges checks that Options.Flush is asked for each turn.
func TestFlushChanges(t *testing.T) {
	wait := time.Hour
	h := New(Options{Flush: func() time.Duration { return wait }})
	c := &client{codec: lines("")}
	m := h.Join(c, MemberOptions{Codec: c.codec})
	defer m.Leave()
	m.Subscribe(nil, false)
	publish(h, "1")
	if c.puts() > 0 {
		t.Error("delivered at once")
	}
	wait = 0
	publish(h, "2")
	if diff := cmp.Diff([]string{"1", "2"}, c.take()); diff != "" {
		t.Error(diff)
	}
}
