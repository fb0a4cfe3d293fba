package muxframe

import (
	"encoding/binary"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
)

// MaxBundle is how long the frames of a bundle can be with the op, in bytes.
const MaxBundle = 64 << 10

// Unbundle reads the first frame of a bundle and returns what follows it. The frame aliases p.
// The error is an *Error.
func Unbundle(p []byte) (f Frame, rest []byte, err error) {
	c := cursor{rest: p}
	frame := c.field(4)
	if c.short {
		return f, nil, faultf("the lengths in a bundle do not add up")
	}
	if f, err = Parse(frame); err == nil && f.Op == Bundle {
		err = faultf("a bundle in a bundle")
	}
	return f, c.rest, err
}

// Bundler collects frames for one WebSocket message. The zero value is empty.
type Bundler struct {
	frames []byte // each with its length before it
	last   int    // where the last one begins
	run    run    // what the last one carries, if it carries messages
}

// run is what messages have in common that can share a frame.
type run struct {
	op      byte
	channel uint32
}

// Add adds a frame.
func (b *Bundler) Add(f *Frame) {
	b.begin(run{})
	b.frames = f.Append(b.frames)
	b.end()
}

// AddMessages adds encoded messages of a channel: to the last frame, if they fit there.
// op is Messages or Marked.
func (b *Bundler) AddMessages(op byte, channel uint32, p []byte) {
	if r := (run{op, channel}); r != b.run {
		b.begin(r)
		b.frames = binary.BigEndian.AppendUint32(append(b.frames, op), channel)
	}
	b.frames = append(b.frames, p...)
	b.end()
}

func (b *Bundler) begin(r run) {
	b.last, b.run = len(b.frames), r
	b.frames = append(b.frames, 0, 0, 0, 0)
}

func (b *Bundler) end() {
	binary.BigEndian.PutUint32(b.frames[b.last:], uint32(len(b.frames)-b.last-4))
}

// Len returns how many bytes the frames take.
func (b *Bundler) Len() int { return len(b.frames) }

// AppendWebSocket appends the frames to dst as one WebSocket message of a server, a single one
// without a bundle, and empties b.
func (b *Bundler) AppendWebSocket(dst []byte) []byte {
	switch {
	case len(b.frames) == 0:
		return dst
	case b.last == 0:
		dst = wsframe.AppendHeader(dst, wsframe.Binary, len(b.frames)-4)
		dst = append(dst, b.frames[4:]...)
	default:
		dst = wsframe.AppendHeader(dst, wsframe.Binary, 1+len(b.frames))
		dst = append(append(dst, Bundle), b.frames...)
	}
	b.Reset()
	return dst
}

// Reset empties b and keeps its buffer.
func (b *Bundler) Reset() { b.frames, b.last, b.run = b.frames[:0], 0, run{} }
