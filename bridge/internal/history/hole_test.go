package history

import "testing"

// TestResumeInHole: a client whose last messages the stream has lost, behind which the next leader leaves
// sequences out, is told that it cannot be recovered. Its position is not beyond what follows.
func TestResumeInHole(t *testing.T) {
	l, err := New(Options{Replica: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	batch := func(first, generation uint64) (end uint64) {
		var b Builder
		b.Begin(first)
		b.Start(l, generation, [][]byte{nil}, 1)
		b.Message(message("a", "1"), 1)
		if err := l.Replicate(b.Batch(), nil); err != nil {
			t.Fatal(err)
		}
		return b.Next()
	}
	end := batch(10, 1)
	batch(100, 2)
	batch(200, 3)
	for sequence, want := range map[uint64]bool{10: true, end: true, end + 1: false, 99: false, 100: false} {
		if _, answer := l.Resume(Position{1, sequence}, matching("a")); answer.Recovered != want || !answer.Gap {
			t.Errorf("at %d: %+v, want recovered %t and a gap", sequence, answer, want)
		}
	}
	if _, answer := l.Resume(Position{2, 100}, matching("a")); !answer.Recovered {
		t.Error("not recovered at the beginning of a generation")
	}
	if _, answer := l.Resume(Position{2, 103}, matching("a")); answer.Recovered {
		t.Error("recovered in the second hole")
	}
}
