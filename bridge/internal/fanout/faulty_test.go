package fanout

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// faulty is a store that takes everything or nothing.
type faulty struct{ fails bool }

func (*faulty) Load(func([]byte) error, func(history.Batch) error) error { return nil }
func (*faulty) Trim(uint64, history.Carrier)                             {}
func (*faulty) Close() error                                             { return nil }

func (f *faulty) Write(history.Batch) error {
	if f.fails {
		return errors.New("disk full")
	}
	return nil
}

// TestStoreFailsWhileBehind: a client that is behind when the store fails, or works again, gets each
// message once and in order, or is told that it is lost.
func TestStoreFailsWhileBehind(t *testing.T) {
	total := uint64(0)
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			store := &faulty{}
			log, err := history.New(history.Options{Topics: [][]byte{nil}, Store: store})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			h := New(Options{Log: log})
			h.Keep([][]byte{nil})
			l := &loser{reader: &reader{wake: make(chan struct{}, 1)}}
			l.q = queue.New(queue.Options{Messages: 1 + r.IntN(20), OnFull: queue.Replay}, l)
			m := h.Join(l.q, MemberOptions{})
			if err := m.Subscribe([]byte("a"), false); err != nil {
				t.Fatal(err)
			}
			const messages = 1000
			for i := range uint64(messages) {
				h.Message(zmtp.Message{[]byte("a"), fmt.Appendf(nil, "%08d", i)})
				switch r.IntN(10) {
				case 0, 1, 2:
					h.Flush()
				case 3:
					store.fails = r.IntN(3) == 0
				case 4:
					time.Sleep(2 * time.Second) // a store that has failed is tried again
				case 5:
					l.room = r.IntN(20)
					l.q.Next(l)
				}
			}
			h.Flush()
			l.room = 1 << 20
			l.q.Next(l)
			if got := uint64(len(l.numbers)) + l.lost; got != messages {
				t.Fatalf("seed %d: %d delivered and %d lost of %d", seed, len(l.numbers), l.lost, messages)
			}
			for i := range len(l.numbers) - 1 {
				if l.numbers[i] >= l.numbers[i+1] {
					t.Fatalf("seed %d: %d before %d", seed, l.numbers[i], l.numbers[i+1])
				}
			}
			total += l.lost
		})
	}
	if total == 0 {
		t.Error("no client has lost anything")
	}
}
