package history

import (
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sharedQueues is what bridges share: a list of what they have stored.
type sharedQueues struct {
	mu   sync.Mutex
	list []func(*Queues)
}

func (s *sharedQueues) add(f func(*Queues)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, f)
}

func (s *sharedQueues) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

func (s *sharedQueues) get(i int) func(*Queues) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list[i]
}

// sharedStore is a bridge's part in it.
type sharedStore struct {
	shared *sharedQueues
	bridge string
}

func (s sharedStore) Load(func(QueueKey, QueueState)) error { return nil }
func (s sharedStore) Close() error                          { return nil }

func (s sharedStore) Save(changes map[QueueKey]*QueueState) error {
	for key, state := range changes {
		deleted := uint64(0)
		if state == nil {
			deleted = uint64(time.Now().UnixNano())
		}
		s.shared.add(func(q *Queues) { q.Merge(key, state, deleted, s.bridge) })
	}
	return nil
}

func (s sharedStore) SaveCursors(acked map[QueueKey]Position) error {
	for key, at := range acked {
		s.shared.add(func(q *Queues) { q.MergeCursor(key, at, s.bridge) })
	}
	return nil
}

// TestQueuesMerge has clients take, acknowledge, leave and delete queues on three bridges that share
// them. Once all have read everything, they agree, also with one that starts now; each queue has at
// most one client, the last one that was given it, and nothing that was acknowledged is forgotten.
func TestQueuesMerge(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) { mergeAtRandom(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func mergeAtRandom(t *testing.T, r *rand.Rand) {
	shared := &sharedQueues{}
	open := func(name string) *Queues {
		q, err := OpenQueues(QueueOptions{Store: sharedStore{shared, name}, Bridge: name, Alive: func(string) bool { return true }})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	bridges := []*Queues{open("a"), open("b"), open("c")}
	read := make([]int, len(bridges))
	catchUp := func(i int) {
		for ; read[i] < shared.len(); read[i]++ {
			shared.get(read[i])(bridges[i])
		}
	}
	keys := []QueueKey{{"alice", ""}, {"alice", "\xff"}, {"bob", ""}}
	type hold struct {
		*Queue
		lost bool
	}
	holds := make(map[QueueKey]*hold)
	acked := make(map[QueueKey]Position)
	end := Position{1, 1}
	for range 300 {
		i, key := r.IntN(len(bridges)), keys[r.IntN(len(keys))]
		switch n := r.IntN(10); {
		case n < 3:
			catchUp(i) // a claim that others have not heard of can win otherwise, which is allowed
			h := &hold{}
			var err error
			if h.Queue, err = bridges[i].Attach(key, true, end, func(error) { h.lost = true }); err != nil {
				t.Fatal(err)
			}
			holds[key] = h
		case n < 7:
			end.Sequence += r.Uint64N(5)
			if h := holds[key]; h != nil && !h.lost {
				h.Ack(end, end)
				acked[key] = Position{1, max(acked[key].Sequence, h.State().Acked.Sequence)}
			}
		case n < 8:
			if h := holds[key]; h != nil {
				h.Detach()
				delete(holds, key)
			}
		case n == 8:
			time.Sleep(SaveInterval)
		default:
			catchUp(i)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
	time.Sleep(2 * SaveInterval)
	synctest.Wait()
	bridges, read = append(bridges, open("late")), append(read, 0)
	for i, q := range bridges {
		catchUp(i)
		known := make(map[QueueKey]Position)
		for _, one := range q.List() {
			known[one.QueueKey] = one.Acked
			if used := holds[one.QueueKey] != nil; one.Used != used {
				t.Errorf("bridge %d: queue %q is used: %v, want %v", i, one.QueueKey, one.Used, used)
			}
		}
		for key, at := range acked {
			if known[key].Sequence < at.Sequence {
				t.Errorf("bridge %d: of queue %q is acknowledged %d, want at least %d", i, key, known[key].Sequence, at.Sequence)
			}
		}
	}
	all := make(map[QueueKey]Position)
	for i, q := range bridges {
		mine := make(map[QueueKey]Position)
		for _, one := range q.List() {
			mine[one.QueueKey] = one.Acked
		}
		if i == 0 {
			all = mine
		} else if !maps.Equal(all, mine) {
			t.Errorf("bridge %d knows %v, the first %v", i, mine, all)
		}
	}
	for _, q := range bridges {
		q.Close()
	}
}

// TestQueuesMergeDeleted: a queue that another bridge has deleted is gone, with its client, unless a
// client was given it later; an acknowledgement does not bring it back.
func TestQueuesMergeDeleted(t *testing.T) {
	q, err := OpenQueues(QueueOptions{Bridge: "here", Alive: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	key := QueueKey{"alice", ""}
	var lost error
	h, err := q.Attach(key, true, Position{1, 5}, func(err error) { lost = err })
	if err != nil {
		t.Fatal(err)
	}
	claim := h.State().Claim
	if gone := q.Merge(key, nil, claim-1, "there"); gone || q.Len() != 1 || lost != nil {
		t.Errorf("an older deletion: gone %t, %d queues, client lost it: %v", gone, q.Len(), lost)
	}
	if gone := q.Merge(key, nil, claim+1, "there"); !gone || q.Len() != 0 || lost != ErrQueueDeleted {
		t.Errorf("a later deletion: gone %t, %d queues, client lost it: %v", gone, q.Len(), lost)
	}
	q.MergeCursor(key, Position{1, 9}, "there")
	if q.Len() != 0 {
		t.Error("an acknowledgement has made a queue")
	}
	q.Merge(key, &QueueState{Acked: Position{1, 6}, Claim: claim + 2}, 0, "there")
	q.MergeCursor(key, Position{1, 9}, "there")
	q.MergeCursor(key, Position{1, 8}, "elsewhere")
	if list := q.List(); len(list) != 1 || list[0].Acked != (Position{1, 9}) || list[0].Used {
		t.Errorf("got %+v, want one queue, acknowledged to 9, without a client", list)
	}
}
