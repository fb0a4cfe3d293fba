package queue

// notification is a topic that the client has lost its subscription to.
type notification struct {
	topic []byte
	// due is the value of Queue.passed from which it may be written: all messages that were
	// put before it, which can be of the topic, have left.
	due uint64
}

// Unsubscribed queues the notification that the client has lost its subscription to topic,
// which is kept. The client receives it after the messages that wait now and before those
// that are put later; where messages are conflated it may come later still. It returns
// ErrFull and closes the queue if Options.Notifications wait already, and ErrClosed if the
// queue is closed.
func (q *Queue) Unsubscribed(topic []byte) error {
	q.mu.Lock()
	err := q.unsubscribed(topic)
	q.mu.Unlock()
	switch err {
	case ErrFull:
		q.owner.Overflow()
	case nil:
		q.owner.Wake()
	}
	return err
}

// unsubscribed implements Unsubscribed. Lock held on entry.
func (q *Queue) unsubscribed(topic []byte) error {
	switch {
	case q.closed:
		return ErrClosed
	case len(q.notifications) >= q.o.Notifications:
		q.close()
		return ErrFull
	}
	q.notifications = append(q.notifications, notification{topic, q.passed + uint64(q.messages)})
	return nil
}

// due removes and returns the first notification if it may be written now, else nil.
// Conflating leaves fewer messages than were counted, so an empty queue makes every
// notification due. Lock held on entry.
func (q *Queue) due() *notification {
	if len(q.notifications) == 0 || q.notifications[0].due > q.passed && !q.items.empty() {
		return nil
	}
	n := q.notifications[0]
	if q.notifications = q.notifications[1:]; len(q.notifications) == 0 {
		q.notifications = nil // an idle client keeps no memory
	}
	return &n
}

// Missed counts n messages that were lost before they could be put, and reports them to the
// owner, unless the queue is closed.
func (q *Queue) Missed(n uint64) {
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.dropped += n
	}
	q.mu.Unlock()
	if !closed {
		q.owner.Missed(n)
	}
}
