package fanout

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// loser is a client that is told what it has lost.
type loser struct {
	*reader
	lost uint64
}

func (l *loser) Lost(n uint64) { l.lost += n }

// TestLostFromTheLog: a client that is caught up from a log which does not keep enough is told
// exactly how many messages are missing, whether it knows of histories or not; while it stays behind,
// as far as that is certain.
func TestLostFromTheLog(t *testing.T) {
	topics := []string{"a/1", "a/2", "b", "c"}
	total := uint64(0)
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		log, err := history.New(history.Options{Topics: [][]byte{nil}, MaxBytes: 6 << 10})
		if err != nil {
			t.Fatal(err)
		}
		h := New(Options{Log: log})
		h.Keep([][]byte{nil})
		l := &loser{reader: &reader{wake: make(chan struct{}, 1)}}
		l.q = queue.New(queue.Options{Messages: 1 + r.IntN(20), OnFull: queue.Replay}, l)
		m := h.Join(l.q, MemberOptions{Filter: only("a/1")})
		prefix, filtered := []string{"", "a/", "a/1"}[r.IntN(3)], r.IntN(2) == 0
		if err := m.Subscribe([]byte(prefix), filtered); err != nil {
			t.Fatal(err)
		}
		wanted := uint64(0)
		for i := range 3000 {
			topic := topics[r.IntN(len(topics))]
			if len(topic) >= len(prefix) && topic[:len(prefix)] == prefix && (!filtered || topic == "a/1") {
				wanted++
			}
			h.Message(zmtp.Message{[]byte(topic), fmt.Appendf(nil, "%08d", i), make([]byte, r.IntN(100))})
			if r.IntN(5) == 0 {
				h.Flush()
			}
			if r.IntN(100) == 0 {
				l.room = r.IntN(60)
				l.q.Next(l)
			}
			if got := uint64(len(l.numbers)) + l.lost; got > wanted {
				t.Fatalf("seed %d: %d delivered and %d lost of %d", seed, len(l.numbers), l.lost, wanted)
			}
		}
		h.Flush()
		l.room = 1 << 20
		l.q.Next(l)
		if got := uint64(len(l.numbers)) + l.lost; got != wanted {
			t.Fatalf("seed %d: %d delivered and %d lost of %d", seed, len(l.numbers), l.lost, wanted)
		}
		if l.lost != l.q.Dropped() {
			t.Fatalf("seed %d: %d told, %d counted", seed, l.lost, l.q.Dropped())
		}
		total += l.lost
		log.Close()
	}
	if total == 0 {
		t.Error("no client has lost anything")
	}
}

// TestLostWhileBehind: a client that never catches up is told what it loses.
func TestLostWhileBehind(t *testing.T) {
	log, err := history.New(history.Options{Topics: [][]byte{nil}, MaxBytes: 6 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	h := New(Options{Log: log})
	h.Keep([][]byte{nil})
	l := &loser{reader: &reader{wake: make(chan struct{}, 1)}}
	l.q = queue.New(queue.Options{Messages: 1, OnFull: queue.Replay}, l)
	m := h.Join(l.q, MemberOptions{})
	if err := m.Subscribe([]byte("a"), false); err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		h.Message(zmtp.Message{[]byte("a"), fmt.Appendf(nil, "%08d", i)})
		h.Flush()
		if i%100 == 99 {
			l.room = 20
			l.q.Next(l)
		}
	}
	if !l.q.Behind() {
		t.Fatal("it has caught up")
	}
	if l.lost < 1500 {
		t.Errorf("told of %d lost messages", l.lost)
	}
}

// TestNotKept: a message that is not in the log has no position, whatever else the log has recorded
// before it, so that a client that is behind counts it as lost.
func TestNotKept(t *testing.T) {
	log, err := history.New(history.Options{Topics: [][]byte{[]byte("a"), []byte("big")}, MaxBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	h := New(Options{Log: log})
	h.Keep([][]byte{[]byte("a"), []byte("big")})
	r := &reader{wake: make(chan struct{}, 1), room: 100}
	r.q = queue.New(queue.Options{OnFull: queue.Replay}, r)
	m := h.Join(r.q, MemberOptions{})
	if err := m.Subscribe(nil, false); err != nil {
		t.Fatal(err)
	}
	number := make([]byte, 8)
	for _, tc := range []struct {
		before func()
		m      zmtp.Message
		kept   bool
	}{
		{func() {}, zmtp.Message{[]byte("a"), number}, true},
		{func() {}, zmtp.Message{[]byte("b"), number}, false},
		{func() { log.Gap("test") }, zmtp.Message{[]byte("b"), number}, false},
		{func() {}, zmtp.Message{[]byte("big"), number, make([]byte, 5000)}, false},
		{func() { log.Forget([]byte("a")) }, zmtp.Message{[]byte("b"), number}, false},
		{func() { log.Gap("test") }, zmtp.Message{[]byte("a"), number}, true},
	} {
		tc.before()
		h.Message(tc.m)
		h.Flush()
		r.at = nil
		r.q.Next(r)
		if kept := len(r.at) > 0; kept != tc.kept {
			t.Errorf("%s: has a position: %v, want %v", tc.m[0], kept, tc.kept)
		}
	}
}
