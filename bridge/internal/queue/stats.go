package queue

import "time"

// Len returns what waits.
func (q *Queue) Len() (messages int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.messages, q.bytes
}

// Held returns what Options.Budget counts for the queue, in bytes; 0 without one.
func (q *Queue) Held() int64 { return q.size.Load() }

// Lag returns how long the message at the front has waited; 0 if the queue is empty.
func (q *Queue) Lag() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items.empty() {
		return 0
	}
	return time.Since(q.items.front().chunk.made)
}

// Passed returns how many messages have left at the front: those that the writer has taken
// and those that were dropped there.
func (q *Queue) Passed() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.passed
}

// Dropped returns how many messages the policy has dropped so far, and how many were missed.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
