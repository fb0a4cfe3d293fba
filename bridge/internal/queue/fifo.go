package queue

import "sync"

// item is the messages from, from+1, … to-1 of a chunk. It is never empty in a queue.
type item struct {
	chunk    *Chunk
	from, to int32
	kept     bool // must not be dropped
}

func (it *item) messages() int { return int(it.to - it.from) }

func (it *item) bytes() int64 {
	return int64(it.chunk.start(int(it.to)) - it.chunk.start(int(it.from)))
}

// at returns the position of the last message that has one; nil if none has.
func (it *item) at() []byte {
	for i := it.to - 1; i >= it.from && len(it.chunk.at) > 0; i-- {
		if at := it.chunk.At(int(i)); at != nil {
			return at
		}
	}
	return nil
}

// fifo is a list of items in blocks from a pool. An empty fifo holds no memory. A pointer to
// an item is valid until the item is popped.
type fifo struct {
	head, tail *block
	first, end int16 // index of the first item in head, and after the last in tail
	len        int32
}

type block struct {
	items [15]item
	next  *block
}

var blocks = sync.Pool{New: func() any { return new(block) }}

func (f *fifo) empty() bool { return f.head == nil }

// push appends it and returns where it is stored.
func (f *fifo) push(it item) *item {
	switch {
	case f.head == nil:
		f.head = blocks.Get().(*block)
		f.tail, f.first, f.end = f.head, 0, 0
	case int(f.end) == len(f.tail.items):
		f.tail.next = blocks.Get().(*block)
		f.tail, f.end = f.tail.next, 0
	}
	p := &f.tail.items[f.end]
	*p = it
	f.end++
	f.len++
	return p
}

// front returns the first item. The fifo must not be empty.
func (f *fifo) front() *item { return &f.head.items[f.first] }

// pop removes and returns the first item. The fifo must not be empty.
func (f *fifo) pop() item {
	it := *f.front()
	f.head.items[f.first] = item{}
	f.first++
	f.len--
	switch b := f.head; {
	case b == f.tail && f.first == f.end:
		f.head, f.tail = nil, nil
		blocks.Put(b)
	case int(f.first) == len(b.items):
		f.head, f.first = b.next, 0
		b.next = nil
		blocks.Put(b)
	}
	return it
}

// release empties the fifo and releases the chunks of its items.
func (f *fifo) release() {
	for !f.empty() {
		it := f.pop()
		it.chunk.Release()
	}
}
