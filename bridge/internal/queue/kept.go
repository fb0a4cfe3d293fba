package queue

// PutKept queues all messages of c. They are never dropped: whatever the policy is, PutKept
// waits for room, or obeys Options.KeptBytes. While some of them are in the queue, DropOldest
// and Conflate drop the messages that do not fit.
func (q *Queue) PutKept(c *Chunk) error {
	it := item{chunk: c, to: int32(c.Messages()), kept: true}
	var bounded bool
	err := q.putItem(it, func(it item) (wake bool, err error) {
		if bounded = q.o.KeptBytes > 0; bounded { // with the lock: SetBounds can change it
			return q.putKept(it)
		}
		return q.wait(it)
	})
	if b := q.o.Budget; bounded && err == nil && b != nil && !b.fits(0) {
		return q.overflow(it.messages())
	}
	return err
}

// putKept queues it beyond the limits for other messages. Lock held on entry and on return.
func (q *Queue) putKept(it item) (wake bool, err error) {
	switch {
	case q.closed:
		return false, ErrClosed
	case q.keptBytes+it.bytes() > q.o.KeptBytes:
		q.close()
		return false, ErrFull
	}
	wake = q.items.empty()
	q.push(it)
	return wake, nil
}

// overflow closes the queue, which has just taken n messages that can neither wait nor be
// dropped, unless they are all that it holds.
func (q *Queue) overflow(n int) error {
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return ErrClosed
	case q.messages <= n:
		q.mu.Unlock()
		return nil
	}
	q.close()
	q.mu.Unlock()
	q.owner.Overflow()
	return ErrFull
}
