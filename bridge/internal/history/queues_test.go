package history

import (
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeQueues is a store in memory that can fail.
type fakeQueues struct {
	mu     sync.Mutex
	fails  bool
	stored map[QueueKey]QueueState
	saved  []int // how many changes each Save had
}

func (f *fakeQueues) Load(g func(QueueKey, QueueState)) error {
	for key, s := range f.stored {
		g(key, s)
	}
	return nil
}

func (f *fakeQueues) Close() error { return nil }

func (f *fakeQueues) Save(changes map[QueueKey]*QueueState) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails {
		return errors.New("disk full")
	}
	f.saved = append(f.saved, len(changes))
	for key, s := range changes {
		if s == nil {
			delete(f.stored, key)
		} else {
			f.stored[key] = *s
		}
	}
	return nil
}

// TestQueuesStoredAtOnce: a new queue, a new subscription and a deletion are stored before anything
// else happens; what is acknowledged waits for SaveInterval.
func TestQueuesStoredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeQueues{stored: make(map[QueueKey]QueueState)}
		failures := 0
		q, err := OpenQueues(QueueOptions{Store: f, Failed: func(err error) {
			if err != nil {
				failures++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		key := QueueKey{"ann", "phone"}
		h, err := q.Attach(key, true, Position{7, 1}, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		expect := func(topics int, acked uint64, saves int) {
			t.Helper()
			synctest.Wait()
			f.mu.Lock()
			defer f.mu.Unlock()
			s, ok := f.stored[key]
			if !ok || len(s.Topics) != topics || s.Acked.Sequence != acked || len(f.saved) != saves {
				t.Fatalf("stored: %+v with %d, want %d topics, acknowledged before %d; saved %d, want %d times",
					maps.Collect(maps.All(f.stored)), len(s.Topics), topics, acked, f.saved, saves)
			}
		}
		expect(0, 1, 1)
		h.Subscribe([]byte("a"))
		expect(1, 1, 2)
		h.Subscribe([]byte("a"))
		h.Ack(Position{7, 5}, Position{7, 9})
		expect(1, 1, 2)
		other, err := q.Attach(QueueKey{"bob", ""}, true, Position{7, 9}, func(error) {})
		if err != nil || !other.New() || !h.New() {
			t.Fatalf("%v, new: %v, %v", err, other.New(), h.New())
		}
		expect(1, 1, 3) // without what can wait
		time.Sleep(SaveInterval)
		expect(1, 5, 4)
		h.Detach()
		if h, err = q.Attach(key, false, Position{7, 9}, func(error) {}); err != nil || h.New() {
			t.Fatalf("%v, new: %v", err, h.New())
		}
		expect(1, 5, 4)
		f.mu.Lock()
		f.fails = true
		f.mu.Unlock()
		h.Subscribe([]byte("b"))
		expect(1, 5, 4)
		time.Sleep(3 * SaveInterval)
		synctest.Wait()
		if failures != 4 || !q.Failed() { // at once, and every SaveInterval
			t.Fatalf("%d attempts have failed, want 4; failed: %v", failures, q.Failed())
		}
		f.mu.Lock()
		f.fails = false
		f.mu.Unlock()
		time.Sleep(SaveInterval)
		expect(2, 5, 5)
		if q.Failed() {
			t.Fatal("failed, although everything is stored")
		}
		q.Delete(key)
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		if _, ok := f.stored[key]; ok {
			t.Fatal("a queue that was deleted is stored")
		}
	})
}

// TestQueuesAge: restarts do not make a queue younger, a crash not older than it is, and what has become
// too old while the bridge was away waits for its client for a moment.
func TestQueuesAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const age = 3 * time.Hour
		f := &fakeQueues{stored: make(map[QueueKey]QueueState)}
		open := func() *Queues {
			t.Helper()
			q, err := OpenQueues(QueueOptions{Store: f, Age: age})
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
		attach := func(q *Queues, user string) *Queue {
			t.Helper()
			h, err := q.Attach(QueueKey{User: user}, true, Position{7, 1}, func(error) {})
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		q := open()
		attach(q, "gone").Detach()
		attach(q, "used")
		began := time.Now()
		for i := range 5 { // the process is killed, each time after an hour
			if i > 0 {
				q = open()
				attach(q, "used")
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			want := 2
			if time.Since(began) > age {
				want = 1 // that of the client which is there
			}
			if got := q.Len(); got != want {
				t.Fatalf("%d queues after %v, want %d", got, time.Since(began), want)
			}
			f.mu.Lock()
			crashed := maps.Clone(f.stored)
			f.mu.Unlock()
			q.Close() // so that nothing of it runs on
			f.stored = crashed
		}
		if seen := f.stored[QueueKey{User: "used"}].Seen; time.Since(seen) > seenInterval+SaveInterval {
			t.Errorf("after a crash the queue was last seen %v ago", time.Since(seen))
		}
		time.Sleep(2 * age)
		q = open()
		defer func() { q.Close() }()
		time.Sleep(returnTime - 2*SaveInterval)
		if q.Len() != 1 {
			t.Fatal("the client has no time to come back")
		}
		time.Sleep(4 * SaveInterval)
		if q.Len() != 0 {
			t.Fatal("a queue that is too old is kept")
		}
	})
}
