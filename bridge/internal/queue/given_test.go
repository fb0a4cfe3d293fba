package queue

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestGiven: the position is that of the last message that was given, also where messages are encoded
// for one client and a batch has no room for all of an item. A queue's client acknowledges up to it.
func TestGiven(t *testing.T) {
	for _, codec := range []Codec{nil, lines{}} {
		q := newQueue(Options{Codec: codec})
		c := NewChunk(codec, 0)
		for _, m := range []string{"a", "b", "c"} {
			c.AppendAt(zmtp.Message{[]byte(m)}, []byte(m))
		}
		if err := q.PutChunk(c); err != nil {
			t.Fatal(err)
		}
		c.Release()
		for got := ""; got != "abc"; {
			p := textBatch{limit: 1}
			q.Next(&p)
			for _, line := range p.lines() {
				got += line
			}
			if given := string(q.Given(nil)); given != got[len(got)-1:] {
				t.Fatalf("codec %v: given %q, the position is that of %s", codec, got, given)
			}
		}
	}
}
