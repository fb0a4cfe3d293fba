package queue

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Codec encodes messages for all clients that share it (zws.Channel.Codec).
type Codec interface {
	// AppendMessage appends the encoded message to dst. at is its position in the route's
	// history; nil if it has none.
	AppendMessage(dst []byte, m zmtp.Message, at []byte) []byte
}

// Chunk is a run of encoded messages. One goroutine fills it; once it is in a queue it does
// not change any more, and any number of goroutines may read it. References are counted:
// NewChunk returns one, which the caller ends with Release, and each queue holds its own.
type Chunk struct {
	codec Codec
	refs  atomic.Int32
	made  time.Time // when its first message came
	bytes []byte
	marks []mark
	// at has the positions of all messages in the route's history, atSize bytes each, zeros for
	// a message without one; empty if none has one.
	at     []byte
	atSize int
}

// mark is one message of a chunk.
type mark struct {
	end   int    // of its bytes
	topic uint64 // topicKey of its first frame
}

// classes are the sizes of the buffers in the pools. A queue that holds one message must not
// keep a buffer for hundreds alive, so a chunk takes the smallest that fits. Larger buffers
// are left to the garbage collector.
var classes = [...]int{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10}

var pools [len(classes)]sync.Pool

// NewChunk returns an empty chunk with one reference and room for about size bytes. codec
// encodes its messages; with nil they are kept as frames and each client's batch encodes
// them, as CURVE needs, where each client has keys of its own.
func NewChunk(codec Codec, size int) *Chunk {
	if codec == nil {
		codec = frames{}
	}
	c := pooled(size)
	c.codec = codec
	c.made = time.Now()
	c.refs.Store(1)
	return c
}

// pooled returns an empty chunk with room for size bytes.
func pooled(size int) *Chunk {
	class := 0
	for class < len(classes)-1 && classes[class] < size {
		class++
	}
	if c, _ := pools[class].Get().(*Chunk); c != nil {
		return c
	}
	return &Chunk{bytes: make([]byte, 0, max(size, classes[class]))}
}

// recycle puts c, which must not be in use, into its pool.
func (c *Chunk) recycle() {
	c.bytes, c.marks, c.at = c.bytes[:0], c.marks[:0], c.at[:0]
	if cap(c.bytes) > 2*classes[len(classes)-1] {
		return
	}
	class := len(classes) - 1
	for class > 0 && classes[class] > cap(c.bytes) {
		class--
	}
	pools[class].Put(c)
}

// reserve makes room for n bytes. A buffer that has become too small goes back to its pool,
// where append would leave it to the garbage collector.
func (c *Chunk) reserve(n int) {
	if len(c.bytes)+n <= cap(c.bytes) {
		return
	}
	larger := pooled(max(2*cap(c.bytes), len(c.bytes)+n))
	larger.bytes = append(larger.bytes, c.bytes...)
	larger.marks = append(larger.marks, c.marks...)
	larger.at = append(larger.at, c.at...)
	c.bytes, larger.bytes = larger.bytes, c.bytes
	c.marks, larger.marks = larger.marks, c.marks
	c.at, larger.at = larger.at, c.at
	larger.recycle()
}

// Append encodes m and appends it. m is not kept.
func (c *Chunk) Append(m zmtp.Message) { c.AppendAt(m, nil) }

// AppendAt is Append with the position of m in the route's history; nil if m is not in it. All
// positions have the same size and are not all zeros.
func (c *Chunk) AppendAt(m zmtp.Message, at []byte) {
	var topic uint64
	if len(m) > 0 {
		topic = topicKey(m[0])
	}
	c.reserve(encodedSize(m))
	c.bytes = c.codec.AppendMessage(c.bytes, m, at)
	c.marks = append(c.marks, mark{len(c.bytes), topic})
	c.place(at)
}

// AppendRange appends the messages from, from+1, … to-1 of src, which must have the same
// codec.
func (c *Chunk) AppendRange(src *Chunk, from, to int) {
	encoded := src.Bytes(from, to)
	c.reserve(len(encoded))
	shift := len(c.bytes) - src.start(from)
	c.bytes = append(c.bytes, encoded...)
	for i, m := range src.marks[from:to] {
		c.marks = append(c.marks, mark{m.end + shift, m.topic})
		c.place(src.At(from + i))
	}
}

// place notes the position of the last message; nil is noted as zeros, also for the messages
// before the first that has one.
func (c *Chunk) place(at []byte) {
	switch {
	case len(at) == 0 && len(c.at) == 0:
		return
	case len(c.at) == 0:
		c.atSize = len(at)
	}
	missing := len(c.marks)*c.atSize - len(c.at) - len(at)
	c.at = append(c.at, make([]byte, missing)...)
	c.at = append(c.at, at...)
}

// At returns the position of message i in the route's history; nil if it has none. It aliases
// the chunk.
func (c *Chunk) At(i int) []byte {
	if len(c.at) == 0 {
		return nil
	}
	at := c.at[i*c.atSize : (i+1)*c.atSize]
	for _, b := range at {
		if b != 0 {
			return at
		}
	}
	return nil
}

// Messages returns the number of messages.
func (c *Chunk) Messages() int { return len(c.marks) }

// Bytes returns the encoded messages from, from+1, … to-1. They must not be changed.
func (c *Chunk) Bytes(from, to int) []byte {
	return c.bytes[c.start(from):c.start(to):c.start(to)]
}

// Size returns the number of bytes of all messages.
func (c *Chunk) Size() int { return len(c.bytes) }

// Release ends one reference. Its holder must not use the chunk any more.
func (c *Chunk) Release() {
	if c.refs.Add(-1) == 0 {
		c.recycle()
	}
}

func (c *Chunk) retain() { c.refs.Add(1) }

// start returns where message i begins.
func (c *Chunk) start(i int) int {
	if i == 0 {
		return 0
	}
	return c.marks[i-1].end
}

// shared reports whether the bytes are what goes to the client.
func (c *Chunk) shared() bool {
	_, own := c.codec.(frames)
	return !own
}

// Frames appends the frames of message i to dst. They alias the chunk, which must have been
// made without a codec.
func (c *Chunk) Frames(dst zmtp.Message, i int) zmtp.Message {
	return frames{}.parse(dst, c.Bytes(i, i+1))
}

// frames is the codec of chunks whose messages are encoded for each client alone: each frame
// after its length in 8 bytes.
type frames struct{}

// AppendMessage implements Codec.
func (frames) AppendMessage(dst []byte, m zmtp.Message, _ []byte) []byte {
	for _, f := range m {
		dst = binary.BigEndian.AppendUint64(dst, uint64(len(f)))
		dst = append(dst, f...)
	}
	return dst
}

// parse appends the frames in p, which AppendMessage has made, to dst.
func (frames) parse(dst zmtp.Message, p []byte) zmtp.Message {
	for len(p) > 0 {
		n := 8 + int(binary.BigEndian.Uint64(p))
		dst = append(dst, p[8:n:n])
		p = p[n:]
	}
	return dst
}

// seed makes topic keys unpredictable, so that a publisher cannot choose topics that
// collide.
var seed = maphash.MakeSeed()

// topicKey identifies a topic when messages are conflated. Two topics share a key with a
// probability of 2^-64; one of their messages would be dropped then, as in a full queue.
func topicKey(topic []byte) uint64 { return maphash.Bytes(seed, topic) }

// encodedSize estimates how many bytes a codec makes of m.
func encodedSize(m zmtp.Message) int { return m.Size() + 16*len(m) }
