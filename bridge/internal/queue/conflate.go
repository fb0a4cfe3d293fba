package queue

// conflate queues the messages of it, each replacing the older message of its topic. From
// the first message that finds the queue full until the queue is empty again, each message
// has an item of its own, and newest holds where the one of each topic waits.
func (q *Queue) conflate(it item) {
	if q.newest == nil {
		q.newest = make(map[uint64]*item)
		waiting := q.items
		q.items, q.messages, q.bytes = fifo{}, 0, 0
		for !waiting.empty() {
			old := waiting.pop()
			q.replace(old)
			old.chunk.Release()
		}
	}
	q.replace(it)
	q.dropOldest()
}

// replace puts each message of it where an older one of its topic waits, or at the end.
func (q *Queue) replace(it item) {
	for i := it.from; i < it.to; i++ {
		one := single(it.chunk, i)
		topic := it.chunk.marks[i].topic
		if place := q.newest[topic]; place == nil {
			q.newest[topic] = q.push(one)
		} else {
			q.dropped++
			q.bytes += one.bytes() - place.bytes()
			one.chunk.retain()
			place.chunk.Release()
			*place = one
		}
		one.chunk.Release()
	}
}

// single returns message i of c with a reference of its own. The newest message of a quiet
// topic can wait for long, so it is copied if it would keep a much larger chunk alive.
func single(c *Chunk, i int32) item {
	if size := len(c.Bytes(int(i), int(i)+1)); 2*size < c.Size() {
		own := NewChunk(c.codec, size)
		own.made = c.made
		own.AppendRange(c, int(i), int(i)+1)
		return item{chunk: own, to: 1}
	}
	c.retain()
	return item{chunk: c, from: i, to: i + 1}
}

// forget removes the message at the front, which is about to leave the queue, from newest.
func (q *Queue) forget() {
	if q.newest != nil {
		it := q.items.front()
		delete(q.newest, it.chunk.marks[it.from].topic)
	}
}
