package muxframe

import (
	"encoding/binary"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// AppendMessage appends m as a channel carries it: the size of all that follows in 4 bytes,
// then each frame with its length in 4 bytes before it.
func AppendMessage(dst []byte, m zmtp.Message) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.Size()+4*len(m)))
	for _, frame := range m {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(frame)))
		dst = append(dst, frame...)
	}
	return dst
}

// AppendMarked appends m with its mark before it, as a channel with a history carries it: its
// position, and when it was published in microseconds since 1970, 0 if it is not replayed.
func AppendMarked(dst []byte, m zmtp.Message, at []byte, micros uint64) []byte {
	dst = appendField(dst, 1, string(at))
	return AppendMessage(binary.BigEndian.AppendUint64(dst, micros), m)
}

// AppendHeader appends what goes before size bytes of messages for a channel: the header of
// a server's WebSocket frame, the op, which is Messages or Marked, and the channel.
func AppendHeader(dst []byte, op byte, channel uint32, size int) []byte {
	dst = wsframe.AppendHeader(dst, wsframe.Binary, 5+size)
	return binary.BigEndian.AppendUint32(append(dst, op), channel)
}

// CheckMessages reports whether p is one or more whole messages. It calls limit with what
// has been read of a message so far, in bytes and frames, and returns its error. Its own
// errors are of type *Error.
func CheckMessages(p []byte, limit func(size int64, frames int) error) error {
	return check(p, false, limit)
}

// CheckMarked is CheckMessages for messages with marks.
func CheckMarked(p []byte, limit func(size int64, frames int) error) error {
	return check(p, true, limit)
}

func check(p []byte, marked bool, limit func(size int64, frames int) error) error {
	if len(p) == 0 {
		return faultf("no message in a frame for messages")
	}
	for c := (cursor{rest: p}); len(c.rest) > 0; {
		if marked {
			c.mark()
		}
		message := cursor{rest: c.field(4)}
		size, frames := int64(0), 0
		for !message.short && (frames == 0 || len(message.rest) > 0) {
			size += int64(len(message.field(4)))
			frames++
			if err := limit(size, frames); err != nil {
				return err
			}
		}
		if c.short || message.short {
			return faultf("the lengths in a message do not add up")
		}
	}
	return nil
}

// Size returns how many bytes of p are its first message. p was checked.
func Size(p []byte) int { return 4 + int(binary.BigEndian.Uint32(p)) }

// MarkedSize is Size for messages with marks.
func MarkedSize(p []byte) int {
	n := markSize(p)
	return n + Size(p[n:])
}

// markSize returns how many bytes of p are its first mark.
func markSize(p []byte) int { return 1 + int(p[0]) + 8 }

// CutMark cuts off the mark before a message. p was checked. The position aliases p.
func CutMark(p []byte) (at []byte, micros uint64, rest []byte) {
	c := cursor{rest: p}
	at, micros = c.mark()
	return at, micros, c.rest
}

func (c *cursor) mark() (at []byte, micros uint64) { return c.field(1), c.uint(8) }

// Decode reads the one message that p is. p was checked. The frames are copies.
func Decode(p []byte) zmtp.Message {
	return split(append([]byte(nil), p[4:]...))
}

// Split is Decode with frames that alias p.
func Split(p []byte) zmtp.Message { return split(p[4:]) }

func split(p []byte) zmtp.Message {
	var m zmtp.Message
	for c := (cursor{rest: p}); len(c.rest) > 0; {
		m = append(m, c.field(4))
	}
	return m
}

// Body returns what the one message that p is has as its only frame. p was checked.
func Body(p []byte) []byte { return p[8:Size(p)] }
