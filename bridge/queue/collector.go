package queue

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// Sink takes chunks: a [Queue], or a hub that serves many.
type Sink interface {
	// PutChunk does not keep the caller's reference. An error is final.
	PutChunk(*Chunk) error
}

// How much a collector gathers without waiting for Flush.
const (
	collectOctets   = 64 << 10
	collectMessages = 1000
)

// Collector makes chunks of the messages that a backend receives: everything between two
// calls of Flush is one chunk, encoded once. It allocates nothing once its chunks are
// pooled. Its methods must not be called concurrently. It implements backend.Receiver.
type Collector struct {
	sink  Sink
	codec Codec
	chunk *Chunk // nil while nothing is collected
	size  int    // of the chunk before
	err   error
}

// Collect returns a collector whose chunks go to sink, encoded by codec (nil: see
// [NewChunk]).
func Collect(sink Sink, codec Codec) *Collector {
	return &Collector{sink: sink, codec: codec}
}

// Message takes a message, which is not kept. An error is that of the sink, and final.
// It waits where the sink does (a queue with Block).
func (c *Collector) Message(m zmtp.Message) error {
	if c.err != nil {
		return c.err
	}
	if c.chunk == nil {
		c.chunk = NewChunk(c.codec, max(c.size, encodedSize(m)))
	}
	c.chunk.Append(m)
	if c.chunk.Size() >= collectOctets || c.chunk.Messages() >= collectMessages {
		c.Flush()
	}
	return c.err
}

// Flush hands what was collected to the sink.
func (c *Collector) Flush() {
	if c.chunk == nil {
		return
	}
	c.size = c.chunk.Size()
	c.err = c.sink.PutChunk(c.chunk)
	c.chunk.Release()
	c.chunk = nil
}

// encodedSize is about how many octets a codec makes of m.
func encodedSize(m zmtp.Message) int { return m.Size() + 16*len(m) }
