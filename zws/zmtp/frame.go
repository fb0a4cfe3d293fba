package zmtp

import (
	"encoding/binary"
	"fmt"
)

// Frame is one frame of a message, or one command, independent of how a transport encodes
// its flags. The functions that pass frames on say how long Body is valid.
type Frame struct {
	// More is set if further frames of the same message follow. It is never set on a
	// command.
	More bool
	// Command is set if Body is a command and not part of a message.
	Command bool
	Body    []byte
}

// Message is the frames of one ZeroMQ message.
type Message [][]byte

// Size returns the sum of the frames' sizes in bytes.
func (m Message) Size() int {
	n := 0
	for _, f := range m {
		n += len(f)
	}
	return n
}

// frameMemory is what a frame costs in memory beside its bytes.
const frameMemory = 24

// Memory returns about how many bytes of memory the frames of m keep: its Size, and 24 bytes for
// each frame after the first, since a message of many small frames keeps far more than its Size.
func (m Message) Memory() int { return m.Size() + frameMemory*max(0, len(m)-1) }

// The framing of 37/ZMTP:
//
//	command      = ( %x04 short-size | %x06 long-size ) command-body
//	message-more = ( %x01 short-size | %x03 long-size ) message-body
//	message-last = ( %x00 short-size | %x02 long-size ) message-body
//	short-size   = OCTET
//	long-size    = 8OCTET   ; 0 to 2^63-1
const (
	flagMore    = 0x01
	flagLong    = 0x02
	flagCommand = 0x04

	shortHeader = 2
	longHeader  = 9
	maxShort    = 255
)

// AppendFrame appends f to dst in its stream encoding (37/ZMTP, "Framing").
func AppendFrame(dst []byte, f Frame) []byte {
	return append(appendHeader(dst, f), f.Body...)
}

// ParseFrame parses the frame at the start of b and returns its encoded size n; n is zero if
// b holds only a part of it. The body aliases b. Errors wrap [ErrProtocol].
func ParseFrame(b []byte) (f Frame, n int, err error) {
	h, ok, err := parseHeader(b)
	if err != nil || !ok || h.size > int64(len(b)-h.length) {
		return Frame{}, 0, err
	}
	n = h.length + int(h.size)
	return Frame{More: h.more, Command: h.command, Body: b[h.length:n:n]}, n, nil
}

// header is the part of a frame before its body.
type header struct {
	more, command bool
	length        int   // of the header itself, in bytes
	size          int64 // of the body, in bytes
}

// parseHeader parses the header at the start of b; ok is false if b holds only a part of it.
func parseHeader(b []byte) (h header, ok bool, err error) {
	if len(b) == 0 {
		return header{}, false, nil
	}
	flags := b[0]
	if flags&^(flagMore|flagLong|flagCommand) != 0 {
		return header{}, false, fmt.Errorf("%w: frame with reserved flags %#02x", ErrProtocol, flags)
	}
	if flags&flagCommand != 0 && flags&flagMore != 0 {
		return header{}, false, fmt.Errorf("%w: command frame with MORE set", ErrProtocol)
	}
	h = header{more: flags&flagMore != 0, command: flags&flagCommand != 0, length: shortHeader}
	if flags&flagLong != 0 {
		h.length = longHeader
	}
	if len(b) < h.length {
		return header{}, false, nil
	}
	if h.length == shortHeader {
		h.size = int64(b[1])
		return h, true, nil
	}
	size := binary.BigEndian.Uint64(b[1:])
	if size > 1<<63-1 {
		return header{}, false, fmt.Errorf("%w: frame of %d bytes, at most 2^63-1 are allowed", ErrProtocol, size)
	}
	h.size = int64(size)
	return h, true, nil
}

// appendHeader appends the header of f to dst.
func appendHeader(dst []byte, f Frame) []byte {
	var flags byte
	if f.More {
		flags |= flagMore
	}
	if f.Command {
		flags |= flagCommand
	}
	if len(f.Body) <= maxShort {
		return append(dst, flags, byte(len(f.Body)))
	}
	dst = append(dst, flags|flagLong)
	return binary.BigEndian.AppendUint64(dst, uint64(len(f.Body)))
}
