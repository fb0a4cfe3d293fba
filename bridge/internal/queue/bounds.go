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

// blocks reports whether the producer of it waits for room. Lock held on entry.
func (q *Queue) blocks(it item) bool { return it.kept || q.o.OnFull == Block }
