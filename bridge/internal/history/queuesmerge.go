package history

import (
	"context"
	"time"
)

// claim makes one's client the newest one of all bridges. Queues.mu is held on entry, as in the
// functions below that are not exported.
func (q *Queues) claim(one *queue) {
	if q.o.Bridge == "" {
		return
	}
	one.claim = max(uint64(time.Now().UnixNano()), one.claim+1)
	one.holder = q.o.Bridge
}

// elsewhere reports whether a client of another bridge has the queue.
func (q *Queues) elsewhere(one *queue) bool {
	return one.holder != "" && one.holder != q.o.Bridge && q.o.Alive(one.holder)
}

// awaitStep is how often it is looked at whether a client of another bridge has left.
const awaitStep = 10 * time.Millisecond

// awaitElsewhere returns when no client of another bridge has the queue, or when ctx ends.
func (q *Queues) awaitElsewhere(ctx context.Context, key QueueKey) {
	ticker := time.NewTicker(awaitStep)
	defer ticker.Stop()
	for {
		q.mu.Lock()
		one := q.queues[key]
		free := one == nil || !q.elsewhere(one)
		q.mu.Unlock()
		if free {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Merge takes what a bridge, perhaps this one, has stored of a queue; nil if it has deleted it, by a
// claim of that number. The newest claim decides whose client has the queue; what one of them has
// acknowledged stays so. gone is true if the queue is deleted.
func (q *Queues) Merge(key QueueKey, s *QueueState, deleted uint64, bridge string) (gone bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	one := q.queues[key]
	if one != nil && bridge == q.o.Bridge {
		return false // it is older than what this bridge has
	}
	if s == nil {
		if one != nil && one.claim > deleted {
			return false
		}
		if one != nil {
			if one.client != nil {
				one.client.lost(ErrQueueDeleted)
			}
			q.remove(key)
		}
		return true
	}
	if one == nil {
		one = &queue{}
		q.queues[key] = one
		q.number[key.User]++
	}
	if s.Acked.Sequence > one.acked.Sequence {
		one.acked = s.Acked
	}
	newer := s.Claim > one.claim
	if newer && one.client != nil {
		one.client.lost(ErrQueueTaken)
		one.client = nil
	}
	if newer || s.Claim == one.claim && one.client == nil {
		one.claim, one.seen, one.holder = s.Claim, s.Seen, ""
		if one.topics = make(map[string]bool, len(s.Topics)); s.Used {
			one.holder, one.seen = bridge, time.Now()
		}
		for _, t := range s.Topics {
			one.topics[t] = true
		}
	}
	return false
}

// MergeCursor takes what a bridge, perhaps this one, has stored of what is acknowledged in a queue.
func (q *Queues) MergeCursor(key QueueKey, acked Position, bridge string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if one := q.queues[key]; one != nil && bridge != q.o.Bridge && acked.Sequence > one.acked.Sequence {
		one.acked = acked
	}
}
