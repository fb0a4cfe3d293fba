package natsstore

import (
	"testing"
	"time"
)

// TestPause: the timer does not fire all the time while it is not known what the bucket has.
func TestPause(t *testing.T) {
	s := &Share{o: Options{Bridge: "here", Lease: 6 * time.Second}}
	if s.nextAct() > 0 {
		t.Fatalf("a share that has not acted yet waits %v, want none", s.nextAct())
	}
	for known, want := range map[bool]time.Duration{false: time.Second, true: time.Millisecond} {
		if got := s.pause(known); got != want {
			t.Errorf("known %t: got %v, want %v", known, got, want)
		}
	}
}
