package zmtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

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

// header is what stands before the body of a frame.
type header struct {
	more, command bool
	length        int   // of the header itself, in octets
	size          int64 // of the body, in octets
}

// parseHeader reads the header that b begins with; ok is false if b holds only a part of it.
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
		return header{}, false, fmt.Errorf("%w: frame of %d octets, beyond 2^63-1", ErrProtocol, size)
	}
	h.size = int64(size)
	return h, true, nil
}

// AppendFrame appends f to dst as it travels over a stream (37/ZMTP, "Framing").
func AppendFrame(dst []byte, f Frame) []byte {
	return append(appendHeader(dst, f), f.Body...)
}

// ParseFrame reads the frame that b begins with and how many octets it takes; n is zero
// if b holds only a part of it. The body aliases b. Errors wrap [ErrProtocol].
func ParseFrame(b []byte) (f Frame, n int, err error) {
	h, ok, err := parseHeader(b)
	if err != nil || !ok || h.size > int64(len(b)-h.length) {
		return Frame{}, 0, err
	}
	n = h.length + int(h.size)
	return Frame{More: h.more, Command: h.command, Body: b[h.length:n:n]}, n, nil
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

const (
	// firstReadBuffer is what a connection costs until it is used.
	firstReadBuffer = 512
	// firstChunk is what a frame too large for the read buffer costs before any of it
	// has arrived.
	firstChunk = 64 << 10
)

// reader cuts what arrives into frames. Memory follows what has arrived, never what a
// header announces.
type reader struct {
	nc         net.Conn
	buf        []byte // buf[start:end] has arrived and is not taken
	start, end int
	max        int  // how large buf may become
	filled     bool // the last read filled buf: there is more than it can hold
	large      []byte
	patience   time.Duration // how long a read may wait for the first octet; zero: for ever
}

func newReader(nc net.Conn, limit int) *reader {
	return &reader{nc: nc, buf: make([]byte, firstReadBuffer), max: max(limit, firstReadBuffer)}
}

// peek returns what is buffered.
func (r *reader) peek() []byte { return r.buf[r.start:r.end] }

// take returns the next n octets, which are buffered, and moves past them.
func (r *reader) take(n int) []byte {
	b := r.buf[r.start : r.start+n : r.start+n]
	r.start += n
	return b
}

// fill makes room and reads once. What peek and take returned before is overwritten.
func (r *reader) fill() error {
	full := r.start == 0 && r.end == len(r.buf)
	switch {
	case (r.filled || full) && len(r.buf) < r.max:
		grown := make([]byte, min(2*len(r.buf), r.max))
		r.end = copy(grown, r.peek())
		r.buf, r.start = grown, 0
	case r.start > 0:
		r.end = copy(r.buf, r.peek())
		r.start = 0
	}
	n, err := r.read(r.buf[r.end:])
	r.end += n
	r.filled = r.end == len(r.buf)
	return err
}

// read reads once from the connection. An error comes only without octets.
func (r *reader) read(p []byte) (int, error) {
	if r.patience > 0 {
		_ = r.nc.SetReadDeadline(time.Now().Add(r.patience)) // fails on a closed connection only
	}
	n, err := r.nc.Read(p)
	if n > 0 || err == nil {
		return n, nil
	}
	return 0, &transportError{err: err}
}

// header waits for the next header. It is not taken: body does that.
func (r *reader) header() (header, error) {
	for {
		h, ok, err := parseHeader(r.peek())
		if ok || err != nil {
			return h, err
		}
		if err := r.fill(); err != nil {
			return header{}, r.inside(err, len(r.peek()) > 0)
		}
	}
}

// body waits for the body that h announces and returns it. It is valid until the next
// call of header or body.
func (r *reader) body(h header) ([]byte, error) {
	if h.size > int64(r.max-h.length) {
		return r.largeBody(h)
	}
	r.large = nil
	whole := h.length + int(h.size)
	for len(r.peek()) < whole {
		if err := r.fill(); err != nil {
			return nil, r.inside(err, true)
		}
	}
	return r.take(whole)[h.length:], nil
}

// largeBody reads a body that the buffer cannot hold into memory of its own, which grows
// as octets arrive.
func (r *reader) largeBody(h header) ([]byte, error) {
	r.take(h.length)
	b := r.large[:0]
	if cap(b) == 0 {
		b = make([]byte, 0, min(h.size, firstChunk))
	}
	b = append(b, r.take(int(min(int64(len(r.peek())), h.size)))...)
	for int64(len(b)) < h.size {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(2*int64(cap(b)), h.size))
			copy(grown, b)
			b = grown
		}
		n, err := r.read(b[len(b):min(int64(cap(b)), h.size)])
		if err != nil {
			return nil, r.inside(err, true)
		}
		b = b[:len(b)+n]
	}
	r.large = b
	return b, nil
}

// whole tells whether the next frame, or what is wrong with it, is buffered.
func (r *reader) whole() bool {
	h, ok, err := parseHeader(r.peek())
	return err != nil || ok && h.size <= int64(len(r.peek())-h.length)
}

// inside makes an end of the stream inside a frame an unexpected one.
func (r *reader) inside(err error, frame bool) error {
	if t, ok := errors.AsType[*transportError](err); ok && t.err == io.EOF && frame {
		return &transportError{err: io.ErrUnexpectedEOF}
	}
	return err
}

// transportError is what went wrong below the protocol, so that it can be told from what
// the peer said.
type transportError struct {
	err     error
	meaning error // what it means where it happened; nil: nothing special
}

func (e *transportError) Error() string { return e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }
