package queue

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Codec encodes messages for all sessions that share it (zws.Codec).
type Codec interface {
	// AppendMessage appends the encoded message to dst.
	AppendMessage(dst []byte, m zmtp.Message) []byte
}

// Chunk is a run of encoded messages. It is filled by one goroutine and not changed any
// more once a queue holds it; then any number of goroutines may read it. It is counted:
// who makes one holds a reference and ends it with Release, and every queue adds its own.
type Chunk struct {
	codec  Codec
	refs   atomic.Int32
	made   time.Time // when its first message came
	octets []byte
	marks  []mark
}

// mark is one message of a chunk.
type mark struct {
	end   int    // where its octets end
	topic uint64 // topicKey of its first frame
}

// classes are the sizes of buffers that are kept for reuse. A queue that holds one
// message must not keep a buffer for hundreds alive, so a chunk takes the smallest that
// fits. Larger ones are left to the garbage collector.
var classes = [...]int{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10}

var pools [len(classes)]sync.Pool

// NewChunk returns an empty chunk with one reference and room for about size octets.
// Messages are encoded by codec; with nil they are kept as frames, and each session
// encodes them when it writes (CURVE: every session has its own key).
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

// pooled takes an empty chunk with room for size octets out of its pool.
func pooled(size int) *Chunk {
	class := 0
	for class < len(classes)-1 && classes[class] < size {
		class++
	}
	if c, _ := pools[class].Get().(*Chunk); c != nil {
		return c
	}
	return &Chunk{octets: make([]byte, 0, max(size, classes[class]))}
}

// recycle puts c, which nobody uses any more, into its pool.
func (c *Chunk) recycle() {
	c.octets, c.marks = c.octets[:0], c.marks[:0]
	if cap(c.octets) > 2*classes[len(classes)-1] {
		return
	}
	class := len(classes) - 1
	for class > 0 && classes[class] > cap(c.octets) {
		class--
	}
	pools[class].Put(c)
}

// reserve makes room for n octets. Where append would make garbage of the buffer that has
// become too small, this goes back to its pool.
func (c *Chunk) reserve(n int) {
	if len(c.octets)+n <= cap(c.octets) {
		return
	}
	larger := pooled(max(2*cap(c.octets), len(c.octets)+n))
	larger.octets = append(larger.octets, c.octets...)
	larger.marks = append(larger.marks, c.marks...)
	c.octets, larger.octets = larger.octets, c.octets
	c.marks, larger.marks = larger.marks, c.marks
	larger.recycle()
}

// Append encodes m and appends it. m is not kept.
func (c *Chunk) Append(m zmtp.Message) {
	var topic uint64
	if len(m) > 0 {
		topic = topicKey(m[0])
	}
	c.reserve(encodedSize(m))
	c.octets = c.codec.AppendMessage(c.octets, m)
	c.marks = append(c.marks, mark{len(c.octets), topic})
}

// AppendRange appends the messages from, from+1, … to-1 of src, which must have the same
// codec.
func (c *Chunk) AppendRange(src *Chunk, from, to int) {
	octets := src.Octets(from, to)
	c.reserve(len(octets))
	shift := len(c.octets) - src.start(from)
	c.octets = append(c.octets, octets...)
	for _, m := range src.marks[from:to] {
		c.marks = append(c.marks, mark{m.end + shift, m.topic})
	}
}

// Messages is the number of messages.
func (c *Chunk) Messages() int { return len(c.marks) }

// Octets is the messages from, from+1, … to-1 as they are encoded. They must not be
// changed.
func (c *Chunk) Octets(from, to int) []byte {
	return c.octets[c.start(from):c.start(to):c.start(to)]
}

// Size is the number of octets of all messages.
func (c *Chunk) Size() int { return len(c.octets) }

// Release gives back one reference. Who gave it back must not use the chunk any more.
func (c *Chunk) Release() {
	if c.refs.Add(-1) == 0 {
		c.recycle()
	}
}

func (c *Chunk) retain() { c.refs.Add(1) }

// start is where message i begins.
func (c *Chunk) start(i int) int {
	if i == 0 {
		return 0
	}
	return c.marks[i-1].end
}

// shared tells that the octets are what goes to the client.
func (c *Chunk) shared() bool {
	_, own := c.codec.(frames)
	return !own
}

// Frames appends the frames of message i, which alias the chunk, to dst. Only for a chunk
// that was made without a codec.
func (c *Chunk) Frames(dst zmtp.Message, i int) zmtp.Message {
	return frames{}.parse(dst, c.Octets(i, i+1))
}

// frames is the codec of chunks that every session encodes for itself: each frame with
// its length in 8 octets before it.
type frames struct{}

// AppendMessage implements Codec.
func (frames) AppendMessage(dst []byte, m zmtp.Message) []byte {
	for _, f := range m {
		dst = binary.BigEndian.AppendUint64(dst, uint64(len(f)))
		dst = append(dst, f...)
	}
	return dst
}

// parse appends to dst the frames that p, made by AppendMessage, holds.
func (frames) parse(dst zmtp.Message, p []byte) zmtp.Message {
	for len(p) > 0 {
		n := 8 + int(binary.BigEndian.Uint64(p))
		dst = append(dst, p[8:n:n])
		p = p[n:]
	}
	return dst
}

// seed makes topic keys unpredictable, so that no publisher can choose topics that
// collide.
var seed = maphash.MakeSeed()

// topicKey stands for a topic where messages are conflated. That two topics share a key
// is possible (2^-64 a pair) and would cost a message as a full queue does.
func topicKey(topic []byte) uint64 { return maphash.Bytes(seed, topic) }

// encodedSize is about how many octets a codec makes of m.
func encodedSize(m zmtp.Message) int { return m.Size() + 16*len(m) }
