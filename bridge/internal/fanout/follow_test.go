package fanout

import (
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestFollowReplica: clients of a log that is a copy are told how far they have everything as well, and
// not beyond what their hub has delivered.
func TestFollowReplica(t *testing.T) {
	log, err := history.New(history.Options{Topics: [][]byte{nil}, Replica: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	h := New(Options{Log: log})
	r := &reader{wake: make(chan struct{}, 1), room: 100}
	r.q = queue.New(queue.Options{}, r)
	m := h.Join(r.q, MemberOptions{Follow: true})
	if err := m.Subscribe([]byte("a"), false); err != nil {
		t.Fatal(err)
	}
	look := func() {
		for range 2 * rounds {
			h.visit()
		}
		r.q.Next(r)
	}
	look()
	if r.live != 0 {
		t.Fatalf("told %d times that it has everything before there is anything", r.live)
	}
	var b history.Builder
	b.Begin(log.End().Sequence)
	b.Start(log, history.NewGeneration(), [][]byte{nil}, 0)
	b.Message(zmtp.Message{[]byte("b"), make([]byte, 8)}, 0)
	if err := h.Replicate(b.Batch()); err != nil {
		t.Fatal(err)
	}
	look()
	if r.live != 1 || m.told != log.End() {
		t.Fatalf("told %d times, at last up to %v, want %v", r.live, m.told, log.End())
	}
	b.Begin(log.End().Sequence)
	b.Message(zmtp.Message{[]byte("a"), make([]byte, 8)}, 0)
	if err := log.Replicate(b.Batch(), nil); err != nil { // for another hub
		t.Fatal(err)
	}
	look()
	if r.live != 1 {
		t.Fatal("told that it has what another hub has delivered")
	}
}
