package queue

// DefaultNotices is how many notices may wait where Options do not say.
const DefaultNotices = 1000

// notice is a topic that the client has lost its subscription to.
type notice struct {
	topic []byte
	// behind counts the messages that were in the queue before it, since the queue was made:
	// those may be of the topic.
	behind uint64
}

// Unsubscribed queues the notice that the client has lost its subscription to topic, which
// is kept. The client hears it behind what waits now and before what is put later, unless
// it is later still because messages are conflated. It returns ErrFull, and closes the
// queue, if Options.Notices wait already, and ErrClosed if it is closed.
func (q *Queue) Unsubscribed(topic []byte) error {
	q.mu.Lock()
	err := q.unsubscribed(topic)
	q.mu.Unlock()
	switch {
	case err == ErrFull && q.o.Overflow != nil:
		q.o.Overflow()
	case err == nil && q.o.Wake != nil:
		q.o.Wake()
	}
	return err
}

// unsubscribed: lock held.
func (q *Queue) unsubscribed(topic []byte) error {
	switch {
	case q.closed:
		return ErrClosed
	case len(q.notices) >= q.o.Notices:
		q.close()
		return ErrFull
	}
	q.notices = append(q.notices, notice{topic, q.passed + uint64(q.messages)})
	return nil
}

// due takes out the first notice if its turn has come; nil if not. Conflating leaves fewer
// messages than were counted, so an empty queue is the end of all waiting. Lock held.
func (q *Queue) due() *notice {
	if len(q.notices) == 0 || q.notices[0].behind > q.passed && !q.items.empty() {
		return nil
	}
	n := q.notices[0]
	if q.notices = q.notices[1:]; len(q.notices) == 0 {
		q.notices = nil // an idle client keeps none
	}
	return &n
}
