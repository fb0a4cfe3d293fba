package history

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

// TestQueuesModel attaches, takes over, acknowledges, leaves, deletes and restarts at random, and
// compares with a model. Holds that were taken over or whose queue was deleted change nothing.
func TestQueuesModel(t *testing.T) {
	type model struct {
		topics map[string]bool
		acked  Position
		holder int // index of the hold; -1 if there is none
	}
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 0))
		name := filepath.Join(t.TempDir(), "queues")
		open := func() (*QueueFile, *Queues) {
			f, err := OpenQueueFile(name)
			if err != nil {
				t.Fatal(err)
			}
			q, err := OpenQueues(QueueOptions{MaxPerUser: 2, Store: f.Route("/a")})
			if err != nil {
				t.Fatal(err)
			}
			return f, q
		}
		f, q := open()
		queues := make(map[QueueKey]*model)
		var holds []*Queue
		var keys []QueueKey
		taken := make(map[int]int)
		wantTaken := make(map[int]int)
		end := Position{7, 1}
		for range 300 {
			end.Sequence += r.Uint64N(3)
			key := QueueKey{[]string{"a", "ab"}[r.IntN(2)], []string{"", "b", "\xff"}[r.IntN(3)]}
			m := queues[key]
			n := r.IntN(100)
			if n < 30 {
				of := 0
				for k := range queues {
					if k.User == key.User {
						of++
					}
				}
				id, named := len(holds), r.IntN(2) == 0
				h, err := q.Attach(key, named, end, func(error) { taken[id]++ })
				switch {
				case m == nil && of == 2:
					if err != ErrTooManyQueues {
						t.Fatalf("third queue: %v", err)
					}
				case m != nil && m.holder >= 0 && !named:
					if err != ErrQueueInUse {
						t.Fatalf("queue in use: %v", err)
					}
				case err != nil:
					t.Fatal(err)
				default:
					if m == nil {
						m = &model{make(map[string]bool), end, -1}
						queues[key] = m
					}
					if m.holder >= 0 {
						wantTaken[m.holder]++
					}
					m.holder = id
					holds, keys = append(holds, h), append(keys, key)
				}
				continue
			}
			if n < 34 {
				if q.Delete(key) != (m != nil) {
					t.Fatalf("Delete reports %v", m == nil)
				}
				if m != nil && m.holder >= 0 {
					wantTaken[m.holder]++
				}
				delete(queues, key)
				continue
			}
			if n < 36 {
				if err := q.Close(); err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				f, q = open()
				for _, m := range queues {
					m.holder = -1
				}
				continue
			}
			if len(holds) == 0 {
				continue
			}
			id := r.IntN(len(holds))
			h, held := holds[id], queues[keys[id]]
			if held != nil && held.holder != id {
				held = nil
			}
			topic := []string{"", "t", "\x00\xfe"}[r.IntN(3)]
			switch {
			case n < 50:
				if h.Subscribe([]byte(topic)); held != nil {
					held.topics[topic] = true
				}
			case n < 60:
				if h.Unsubscribe([]byte(topic)); held != nil {
					delete(held.topics, topic)
				}
			case n < 85:
				at := Position{7, r.Uint64N(end.Sequence + 4)}
				if h.Ack(at, end); held != nil && at.Sequence > held.acked.Sequence && at.Sequence <= end.Sequence {
					held.acked = at
				}
			default:
				if h.Detach(); held != nil {
					held.holder = -1
				}
			}
			if list := q.List(); len(list) != len(queues) {
				t.Fatalf("seed %d: %d queues, want %d", seed, len(list), len(queues))
			}
			for _, got := range q.List() {
				want := queues[got.QueueKey]
				if want == nil || got.Acked != want.acked || got.Used != (want.holder >= 0) || len(got.Topics) != len(want.topics) ||
					slices.ContainsFunc(got.Topics, func(s string) bool { return !want.topics[s] }) {
					t.Fatalf("seed %d: queue %q is %+v, want %+v", seed, got.QueueKey, got, want)
				}
			}
		}
		for id := range holds {
			if taken[id] != wantTaken[id] {
				t.Errorf("seed %d: hold %d was told %d times that it is taken, want %d", seed, id, taken[id], wantTaken[id])
			}
		}
		_ = q.Close()
		_ = f.Close()
	}
}

// TestAckAfterLogIsGone: a queue whose log was removed goes on with the new one.
func TestAckAfterLogIsGone(t *testing.T) {
	q, err := OpenQueues(QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	h, err := q.Attach(QueueKey{User: "a"}, true, Position{1, 1000}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	at := Position{2, 5}
	if h.Ack(at, Position{2, 10}); h.State().Acked != at {
		t.Errorf("acknowledged: %v, want %v", h.State().Acked, at)
	}
}
