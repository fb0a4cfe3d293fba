package queue

import "testing"

// TestMissed checks that what was lost before it could be put is counted and reported.
func TestMissed(t *testing.T) {
	o := new(owner)
	q := New(Options{}, o)
	q.Missed(2)
	q.Close()
	q.Missed(1)
	if missed, dropped := o.missed.Load(), q.Dropped(); missed != 2 || dropped != 2 {
		t.Errorf("%d missed, %d dropped, want 2 of both, and nothing after Close", missed, dropped)
	}
}
