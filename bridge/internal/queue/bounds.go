package queue

// SetBounds changes Messages, Bytes, Notifications, OnFull and KeptBytes of the options to those of
// o. What is queued beyond them stays until the next message comes. A producer that waits for room
// goes on by the new policy. OnFull must not change to or from Replay, since what a client has
// subscribed to meanwhile is noted for Replay only.
func (q *Queue) SetBounds(o Options) {
	q.mu.Lock()
	q.o.limits = o.limits()
	if o.OnFull != Conflate {
		q.newest = nil
	}
	q.settle()
	q.freed()
	q.mu.Unlock()
	if q.o.Budget != nil {
		q.o.Budget.notify()
	}
}

// Room reports whether so many more messages, of so many bytes together, can be put without waiting,
// by a producer that is alone. Messages of PutKept can wait in any case.
func (q *Queue) Room(messages int, bytes int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.o.OnFull != Block {
		return true
	}
	return q.o.Budget == nil && q.messages+messages <= q.o.Messages && q.bytes+bytes <= q.o.Bytes
}

// blocks reports whether the producer of it waits for room. Lock held on entry.
func (q *Queue) blocks(it item) bool { return it.kept || q.o.OnFull == Block }
