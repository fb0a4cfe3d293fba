package queue

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestLag checks that the lag is the age of the message at the front, also if it was conflated.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, policy := range []Policy{DropOldest, Conflate} {
			q := newQueue(Options{Messages: 2, OnFull: policy, Codec: lines{}})
			lag := func(want time.Duration) {
				t.Helper()
				if got := q.Lag(); got != want {
					t.Errorf("%v: %v, want %v", policy, got, want)
				}
			}
			lag(0)
			c := chunk(lines{}, "a,1")
			time.Sleep(time.Second)
			q.PutChunk(c)
			lag(time.Second)
			time.Sleep(time.Second)
			b := chunk(lines{}, "b,1")
			time.Sleep(time.Second)
			q.PutChunk(b)
			lag(3 * time.Second)
			q.PutChunk(chunk(lines{}, "c,1")) // drops a
			lag(time.Second)
			read(q)
			lag(0)
		}
	})
}
