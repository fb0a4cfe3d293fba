package queue

// insert is what has its place between messages without being one: the notification that the
// client has lost its subscription to topic, or what a puller has.
type insert struct {
	topic  []byte
	puller Puller // nil for a notification
	gap    []byte // position of a gap; nil for other inserts
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

// Gap queues the notification that messages may be missing which were published before at, a
// position behind all messages that were put and before those that will be. The writer of a queue that
// has fallen behind comes to the gap in the backlog instead. While several wait without a message
// between them, the client is notified once. It counts towards Options.Notifications.
func (q *Queue) Gap(at []byte) {
	q.mu.Lock()
	var err error
	switch n := len(q.inserts); {
	case q.behind:
		if l := q.logged(); len(l.missing) == 0 {
			l.missing = append(l.missing, at...)
		}
		q.mu.Unlock()
		return
	case n > 0 && q.inserts[n-1].gap != nil && q.inserts[n-1].due >= q.passed+uint64(q.messages):
		q.inserts[n-1].gap = at
	default:
		err = q.noteLocked(insert{gap: at})
	}
	q.settle()
	q.mu.Unlock()
	q.notified(err)
}

// note queues an insert.
func (q *Queue) note(n insert) error {
	q.mu.Lock()
	err := q.noteLocked(n)
	q.settle()
	q.mu.Unlock()
	q.notified(err)
	if b := q.o.Budget; err == nil && b != nil && !b.fits(0) && b.relieve(q, 0) {
		return ErrFull
	}
	return err
}

// notified tells the owner what has become of an insert.
func (q *Queue) notified(err error) {
	switch err {
	case ErrFull:
		q.owner.Overflow()
	case nil:
		q.owner.Wake()
	}
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
	q.noted += n.cost()
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
	q.noted -= n.cost()
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
