package queue

// SetBounds changes Messages, Bytes and Notifications of the options to those of o. What is queued
// beyond them stays until the next message comes.
func (q *Queue) SetBounds(o Options) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.o.Messages, q.o.Bytes, q.o.Notifications = o.Messages, o.Bytes, o.Notifications
	q.space.Broadcast()
}
