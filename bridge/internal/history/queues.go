package history

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

var (
	// ErrTooManyQueues reports that the user has QueueOptions.MaxPerUser queues already.
	ErrTooManyQueues = errors.New("this user has too many queues")
	// ErrQueueInUse reports that another client has the queue, and that this one did not name it.
	ErrQueueInUse = errors.New("another client has the queue")
	// ErrQueueTaken and ErrQueueDeleted are why a client does not have its queue any more: another one
	// has named it, and an operator has deleted it.
	ErrQueueTaken   = errors.New("another client has taken the queue")
	ErrQueueDeleted = errors.New("the queue was deleted")
)

// QueueKey identifies a permanent queue of a route.
type QueueKey struct {
	User, Name string
}

// QueueState is what a permanent queue consists of: a cursor in the log of its route, not copies
// of messages.
type QueueState struct {
	Topics []string  // what its clients have subscribed to
	Acked  Position  // everything before it is acknowledged
	Seen   time.Time // when a client had it last

	// The rest is used where bridges share the queues.
	Claim uint64 // increases with each client that gets the queue, on any bridge
	Used  bool   // it has a client
}

// QueueStore keeps the queues of a route beyond the life of the process. Its methods are not
// called concurrently.
type QueueStore interface {
	// Load calls f for each queue.
	Load(f func(QueueKey, QueueState)) error
	// Save replaces the states of queues; nil deletes one.
	Save(changes map[QueueKey]*QueueState) error
	Close() error
}

// CursorStore is a QueueStore for which it is cheaper to store only what is acknowledged.
type CursorStore interface {
	// SaveCursors stores what is acknowledged in queues that have a client, and that Save has stored.
	// It is not called concurrently with Save.
	SaveCursors(acked map[QueueKey]Position) error
}

// QueueOptions configure the queues of a route.
type QueueOptions struct {
	// Age is how long a queue without a client is kept; 0 means for ever.
	Age time.Duration
	// MaxPerUser bounds the queues of one user; 0 means that it is not bounded.
	MaxPerUser int
	// Bridge, if not empty, is the name of this bridge among those that share the queues: what others
	// store comes by Merge. Alive reports whether a bridge is there at present.
	Bridge string
	Alive  func(bridge string) bool
	// Store, if not nil, is written to every SaveInterval and by Close, and for new queues and
	// subscriptions at once. Queues closes it.
	Store QueueStore
	// Failed, if not nil, is called with the error of each attempt to write to the store, nil for
	// one that has succeeded after one that did not.
	Failed func(error)
}

// SaveInterval is how often changes of queues are stored. What a client has acknowledged since the
// last time is delivered again after a crash.
const SaveInterval = time.Second

const (
	// seenInterval is how often it is stored that queues are in use. After a crash, they were last
	// seen at most so long ago.
	seenInterval = time.Minute
	// returnTime is how long clients have after a start to come back, however long the bridge was
	// away, before their queues are too old.
	returnTime = 5 * time.Minute
)

// Queues are the permanent queues of one route. All methods may be called concurrently.
type Queues struct {
	mu     sync.Mutex
	o      QueueOptions
	queues map[QueueKey]*queue
	number map[string]int      // of queues of each user
	dirty  map[QueueKey]change // to be stored
	failed bool                // the last attempt to store them
	opened time.Time
	seen   time.Time // when it was noted last that queues are in use

	urgent  chan struct{} // holds one token when something is to be stored at once
	stop    chan struct{}
	stopped sync.WaitGroup
}

// change is what of a queue is to be stored, and when.
type change int

const (
	changeCursor change = iota + 1 // what is acknowledged, within SaveInterval
	changeState                    // all of it, within SaveInterval
	changeUrgent                   // all of it, at once
)

type queue struct {
	topics map[string]bool
	acked  Position
	seen   time.Time
	client *Queue // nil if there is none
	claim  uint64
	holder string    // the bridge with its client; "" if there is none
	saved  time.Time // when it was last given to the store
}

// OpenQueues returns the queues of a store, or none. The caller ends them with Close.
func OpenQueues(o QueueOptions) (*Queues, error) {
	q := &Queues{
		o: o, queues: make(map[QueueKey]*queue), number: make(map[string]int),
		dirty: make(map[QueueKey]change), urgent: make(chan struct{}, 1), stop: make(chan struct{}),
		opened: time.Now(),
	}
	q.seen = q.opened
	if o.Store != nil {
		if err := o.Store.Load(q.load); err != nil {
			_ = o.Store.Close()
			return nil, err
		}
	}
	q.stopped.Go(q.run)
	return q, nil
}

func (q *Queues) load(key QueueKey, s QueueState) {
	one := &queue{topics: make(map[string]bool), acked: s.Acked, seen: s.Seen}
	if s.Seen.IsZero() || s.Seen.After(q.opened) { // the clock was set back
		one.seen = q.opened
	}
	for _, t := range s.Topics {
		one.topics[t] = true
	}
	q.queues[key] = one
	q.number[key.User]++
}

// SetBounds changes the age and the number of queues; those beyond it stay.
func (q *Queues) SetBounds(age time.Duration, maxPerUser int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.o.Age, q.o.MaxPerUser = age, maxPerUser
}

// Attach gives a client its user's queue of that name, which begins at end if it does not exist
// yet. A client that named the queue takes it over from an older one. The client whose queue is taken
// over or deleted is told by its lost, with ErrQueueTaken or ErrQueueDeleted; it
// must not block. The caller ends the use with Detach. Errors: ErrTooManyQueues, ErrQueueInUse.
func (q *Queues) Attach(key QueueKey, named bool, end Position, lost func(error)) (*Queue, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	one := q.queues[key]
	made := one == nil
	switch {
	case made:
		if q.o.MaxPerUser > 0 && q.number[key.User] >= q.o.MaxPerUser {
			return nil, ErrTooManyQueues
		}
		one = &queue{topics: make(map[string]bool), acked: end}
		q.queues[key] = one
		q.number[key.User]++
	case (one.client != nil || q.elsewhere(one)) && !named:
		return nil, ErrQueueInUse
	case one.client != nil:
		one.client.lost(ErrQueueTaken)
	}
	one.seen = time.Now()
	one.client = &Queue{queues: q, key: key, made: made, lost: lost, left: make(chan struct{})}
	q.claim(one)
	q.change(key, urgentIf(made || q.o.Bridge != ""))
	return one.client, nil
}

func urgentIf(urgent bool) change {
	if urgent {
		return changeUrgent
	}
	return changeState
}

// change has a queue stored. Lock held on entry.
func (q *Queues) change(key QueueKey, c change) {
	q.dirty[key] = max(q.dirty[key], c)
	if c != changeUrgent {
		return
	}
	select {
	case q.urgent <- struct{}{}:
	default:
	}
}

// Await returns when the client that has the queue leaves, when there is none, or when ctx ends.
func (q *Queues) Await(ctx context.Context, key QueueKey) {
	q.mu.Lock()
	one := q.queues[key]
	if one != nil && one.client == nil && q.elsewhere(one) {
		q.mu.Unlock()
		q.awaitElsewhere(ctx, key)
		return
	}
	if one == nil || one.client == nil {
		q.mu.Unlock()
		return
	}
	left := one.client.left
	q.mu.Unlock()
	select {
	case <-left:
	case <-ctx.Done():
	}
}

// Delete removes a queue and tells its client. It reports whether there was one.
func (q *Queues) Delete(key QueueKey) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.delete(key)
}

// delete implements Delete. Lock held on entry.
func (q *Queues) delete(key QueueKey) bool {
	one := q.queues[key]
	if one == nil {
		return false
	}
	if one.client != nil {
		one.client.lost(ErrQueueDeleted)
	}
	q.remove(key)
	q.change(key, changeUrgent)
	return true
}

func (q *Queues) remove(key QueueKey) {
	delete(q.queues, key)
	if q.number[key.User]--; q.number[key.User] == 0 {
		delete(q.number, key.User)
	}
}

// QueueInfo is a queue as operators see it.
type QueueInfo struct {
	QueueKey
	QueueState
	Used bool // it has a client
}

// List returns all queues, by user and name.
func (q *Queues) List() []QueueInfo {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := make([]QueueInfo, 0, len(q.queues))
	for key, one := range q.queues {
		list = append(list, QueueInfo{key, one.state(), one.client != nil || q.elsewhere(one)})
	}
	slices.SortFunc(list, func(a, b QueueInfo) int { return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Name, b.Name)) })
	return list
}

// Len returns the number of queues.
func (q *Queues) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queues)
}

// Failed reports whether what has changed could not be stored at the last attempt.
func (q *Queues) Failed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failed
}

func (one *queue) state() QueueState {
	return QueueState{slices.Sorted(maps.Keys(one.topics)), one.acked, one.seen, one.claim, one.client != nil}
}

// run stores changes and deletes what is too old, until Close.
func (q *Queues) run() {
	ticker := time.NewTicker(SaveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-q.stop:
			return
		case now := <-ticker.C:
			q.use(now)
			q.expire(now)
			q.save(false)
		case <-q.urgent:
			q.save(true)
		}
	}
}

// use notes that the queues with a client are in use, every seenInterval.
func (q *Queues) use(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.seen) < seenInterval {
		return
	}
	q.seen = now
	for key, one := range q.queues {
		if one.client != nil {
			one.seen = now
			q.change(key, changeState)
		}
	}
}

// expire deletes the queues whose last client left too long ago.
func (q *Queues) expire(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.opened) < min(returnTime, q.o.Age) {
		return
	}
	for key, one := range q.queues {
		switch {
		case q.o.Age <= 0:
		case one.client == nil && now.Sub(one.seen) > q.o.Age && !q.elsewhere(one):
			q.delete(key)
		case one.client != nil && q.o.Bridge != "" && now.Sub(one.saved) > q.o.Age/2:
			q.change(key, changeState) // what bridges share has an age
		}
	}
}

// Close stores the queues. Their clients are gone by then.
func (q *Queues) Close() error {
	close(q.stop)
	q.stopped.Wait()
	q.save(false)
	if q.o.Store == nil {
		return nil
	}
	return q.o.Store.Close()
}
