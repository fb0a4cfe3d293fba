package queue

// conflate queues the messages of it, each in the place of the older one of its topic.
// From the first message that finds the queue full until the queue is empty, every
// message has an item of its own, and newest tells where that of each topic waits.
func (q *Queue) conflate(it item) {
	if q.newest == nil {
		q.newest = make(map[uint64]*item)
		waiting := q.items
		q.items, q.messages, q.octets = fifo{}, 0, 0
		for !waiting.empty() {
			old := waiting.pop()
			q.replace(old)
			old.chunk.Release()
		}
	}
	q.replace(it)
	q.dropOldest()
}

// replace puts every message of it where an older one of its topic waits, else at the end.
func (q *Queue) replace(it item) {
	for i := it.from; i < it.to; i++ {
		one := item{it.chunk, i, i + 1}
		topic := it.chunk.marks[i].topic
		place := q.newest[topic]
		if place == nil {
			q.newest[topic] = q.push(one)
			continue
		}
		q.dropped++
		q.octets += one.octets() - place.octets()
		one.chunk.retain()
		place.chunk.Release()
		*place = one
	}
}

// forget ends what newest knows of the message at the front of the queue, which is about
// to leave it.
func (q *Queue) forget() {
	if q.newest != nil {
		it := q.items.front()
		delete(q.newest, it.chunk.marks[it.from].topic)
	}
}
