package queue

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// Sink takes chunks: a [Queue], or a hub that serves many.
type Sink interface {
	PutChunk(*Chunk) error
}

// How much a collector gathers before it does not wait for Flush.
const (
	collectOctets   = 64 << 10
	collectMessages = 1000
)

// Collector makes chunks of the frames that one backend connection reads: everything
// between two calls of Flush is one chunk, encoded once. It is used by the one goroutine
// that reads the connection. It allocates nothing once its buffers have grown.
type Collector struct {
	sink  Sink
	codec Codec

	chunk *Chunk
	size  int // of the chunk before
	err   error

	message zmtp.Message // the frames of the message that is being read
	octets  []byte       // and, where it has several, their octets
	ends    []int
}

// Collect returns a collector whose chunks go to sink, encoded by codec (nil: see
// [NewChunk]).
func Collect(sink Sink, codec Codec) *Collector {
	return &Collector{sink: sink, codec: codec}
}

// Frame takes one frame of a message; its body is copied. An error is that of the sink,
// and final.
func (c *Collector) Frame(f zmtp.Frame) error {
	if c.err != nil {
		return c.err
	}
	if len(c.ends) > 0 || f.More {
		c.octets = append(c.octets, f.Body...)
		c.ends = append(c.ends, len(c.octets))
		if f.More {
			return nil
		}
		c.several()
	} else {
		c.message = append(c.message[:0], f.Body)
	}
	if c.chunk == nil {
		c.chunk = NewChunk(c.codec, max(c.size, c.message.Size()+16*len(c.message)))
	}
	c.chunk.Append(c.message)
	clear(c.message)
	if c.chunk.Size() >= collectOctets || c.chunk.Messages() >= collectMessages {
		c.Flush()
	}
	return c.err
}

// several makes a message of the collected frames.
func (c *Collector) several() {
	c.message = c.message[:0]
	start := 0
	for _, end := range c.ends {
		c.message = append(c.message, c.octets[start:end:end])
		start = end
	}
	if cap(c.octets) > collectOctets {
		c.octets = nil
	}
	c.octets, c.ends = c.octets[:0], c.ends[:0]
}

// Flush hands what was collected to the sink. A message whose last frame is missing yet
// stays for the next chunk.
func (c *Collector) Flush() {
	if c.chunk == nil {
		return
	}
	c.size = c.chunk.Size()
	c.err = c.sink.PutChunk(c.chunk)
	c.chunk.Release()
	c.chunk = nil
}

// Reset forgets a message that will not be completed: its connection was lost.
func (c *Collector) Reset() {
	c.octets, c.ends = c.octets[:0], c.ends[:0]
}
