package queue

// insert is what has its place between messages without being one: the notification that the
// client has lost its subscription to topic, or what a puller has.
type insert struct {
	topic  []byte
	puller Puller // nil for a notification
	// due is the value of Queue.passed from which it may be written: all messages that were
	// put before it, which can be of the topic, have left.
	due uint64
}

// Unsubscribed queues the notification that the client has lost its subscription to topic,
// which is kept. The client receives it after the messages that wait now and before those
// that are put later; where messages are conflated it may come later still. It returns
// ErrFull and closes the queue if Options.Notifications wait already, and ErrClosed if the
// queue is closed.
func (q *Queue) Unsubscribed(topic []byte) error { return q.note(insert{topic: topic}) }

// note queues an insert.
func (q *Queue) note(n insert) error {
	q.mu.Lock()
	err := q.noteLocked(n)
	q.mu.Unlock()
	switch err {
	case ErrFull:
		q.owner.Overflow()
	case nil:
		q.owner.Wake()
	}
	return err
}

// noteLocked implements note. Lock held on entry.
func (q *Queue) noteLocked(n insert) error {
	switch {
	case q.closed:
		return ErrClosed
	case len(q.inserts) >= q.o.Notifications:
		q.close()
		return ErrFull
	}
	n.due = q.passed + uint64(q.messages)
	q.inserts = append(q.inserts, n)
	return nil
}

// due removes and returns the first insert if it may be written now, else nil.
// Conflating leaves fewer messages than were counted, so an empty queue makes every
// insert due. Lock held on entry.
func (q *Queue) due() *insert {
	if len(q.inserts) == 0 || q.inserts[0].due > q.passed && !q.items.empty() {
		return nil
	}
	n := q.inserts[0]
	if q.inserts = q.inserts[1:]; len(q.inserts) == 0 {
		q.inserts = nil // an idle client keeps no memory
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
		q.reported += n // by Missed, not again by Lost
	}
	q.mu.Unlock()
	if !closed {
		q.owner.Missed(n)
	}
}
