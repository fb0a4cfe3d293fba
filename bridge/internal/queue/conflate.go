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
		one := alone(it.chunk, i)
		topic := it.chunk.marks[i].topic
		if place := q.newest[topic]; place == nil {
			q.newest[topic] = q.push(one)
		} else {
			q.dropped++
			q.octets += one.octets() - place.octets()
			one.chunk.retain()
			place.chunk.Release()
			*place = one
		}
		one.chunk.Release()
	}
}

// alone is message i of c with a reference of its own: of c itself or, where that holds
// much else, of a copy, since the newest message of a quiet topic may wait for long.
func alone(c *Chunk, i int32) item {
	if size := len(c.Octets(int(i), int(i)+1)); 2*size < c.Size() {
		own := NewChunk(c.codec, size)
		own.made = c.made
		own.AppendRange(c, int(i), int(i)+1)
		return item{own, 0, 1}
	}
	c.retain()
	return item{c, i, i + 1}
}

// forget ends what newest knows of the message at the front of the queue, which is about
// to leave it.
func (q *Queue) forget() {
	if q.newest != nil {
		it := q.items.front()
		delete(q.newest, it.chunk.marks[it.from].topic)
	}
}
