package history

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pieces is a store with this content.
type pieces struct {
	carried [][]byte
	batches []Batch
}

func (p *pieces) Load(carried func([]byte) error, batch func(Batch) error) error {
	for _, c := range p.carried {
		if err := carried(c); err != nil {
			return err
		}
	}
	for _, b := range p.batches {
		if err := batch(b); err != nil {
			return err
		}
	}
	return nil
}

func (p *pieces) Write(b Batch) error {
	b.Data = bytes.Clone(b.Data)
	p.batches = append(p.batches, b)
	return nil
}

func (p *pieces) Trim(uint64, Carrier) {}
func (p *pieces) Close() error         { return nil }

// FuzzLoad loads what another program may have put into a store. What is accepted must be the same
// after another restart.
func FuzzLoad(f *testing.F) {
	var s pieces
	l, err := open(Options{Topics: [][]byte{{}}, LastValues: true, Store: &s, MaxBytes: 2000}, newClock().read)
	if err != nil {
		f.Fatal(err)
	}
	l.Append(message("a", "1"))
	l.Append(message("b", "2"))
	l.Gap("test")
	for range 20 {
		l.Append(message("a", "3"))
	}
	l.Forget([]byte("a"))
	l.Append(message("a", string(make([]byte, 2000))))
	l.Flush()
	var state, values []byte
	carrier{l}.Carry(0, l.Stats().First.Sequence, func(p []byte) error {
		if p[0] == pieceState {
			state = bytes.Clone(p)
		} else {
			values = bytes.Clone(p)
		}
		return nil
	})
	l.Close()
	f.Add([]byte{}, []byte{}, uint64(1), s.batches[0].Count, s.batches[0].Data)
	for _, b := range s.batches {
		f.Add(state, values, b.First, b.Count, b.Data)
	}
	f.Fuzz(func(t *testing.T, state, values []byte, first uint64, count int, data []byte) {
		if count < 0 || count > math.MaxInt32 {
			return // a store has 32 bits for it
		}
		var s pieces
		if len(state) > 0 {
			s.carried = append(s.carried, state)
		}
		if len(values) > 0 {
			s.carried = append(s.carried, values)
		}
		s.batches = []Batch{{first, count, data}}
		var before []string
		for i := range 2 {
			l, err := open(Options{Topics: [][]byte{{}}, LastValues: true, MaxBytes: 100_000, Store: &s}, newClock().read)
			if err != nil {
				if i > 0 {
					t.Fatal(err)
				}
				return
			}
			l.checkSizes(t)
			r, _ := l.Resume(Position{}, matching(""))
			got := append(frames(r), frames(l.Last(matching(""), l.End()))...)
			if i > 0 {
				if d := cmp.Diff(before, got); d != "" {
					t.Fatal(d)
				}
			}
			before = got
			l.Close()
		}
	})
}

// frames reads all that r gives.
func frames(r interface {
	Next([]Entry, int) ([]Entry, bool)
}) (all []string) {
	var entries []Entry
	for more := true; more; {
		entries, more = r.Next(entries[:0], 1<<20)
		for _, e := range entries {
			for _, f := range e.Frames(nil) {
				all = append(all, string(f))
			}
		}
	}
	return all
}
