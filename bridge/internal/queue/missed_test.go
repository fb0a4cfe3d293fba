package queue

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestMissed checks that what was lost before it could be put is counted and reported, once: the
// next message must not report it again as what the queue has dropped.
func TestMissed(t *testing.T) {
	for _, policy := range []Policy{DropOldest, DropNewest, Conflate, Block, Disconnect} {
		o := new(owner)
		q := New(Options{OnFull: policy, Codec: lines{}}, o)
		q.Missed(2)
		if err := q.Put(zmtp.Message{[]byte("a")}); err != nil {
			t.Fatal(err)
		}
		q.Close()
		q.Missed(1)
		if missed, lost, dropped := o.missed.Load(), o.lost.Load(), q.Dropped(); missed != 2 || lost != 0 || dropped != 2 {
			t.Errorf("policy %v: %d missed, %d lost, %d dropped, want 2, 0 and 2, and nothing after Close", policy, missed, lost, dropped)
		}
	}
}
