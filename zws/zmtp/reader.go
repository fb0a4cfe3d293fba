package zmtp

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/nonblock"
)

const (
	// firstReadBuffer is the size of the buffer of an idle connection.
	firstReadBuffer = 128
	// firstChunk is how much memory is allocated for a frame that does not fit into the
	// buffer, before any of it has arrived.
	firstChunk = 64 << 10
)

// reader splits a stream into frames. Its memory grows with what has arrived, never with what
// a header announces.
type reader struct {
	nc         net.Conn
	socket     nonblock.Reader // of nc
	buf        []byte          // buf[start:end] has arrived and is not yet taken
	start, end int
	max        int  // limit of len(buf)
	filled     bool // the last read filled buf, so more is likely to be waiting
	large      []byte
	patience   time.Duration // how long one read may take; zero: without limit
	until      time.Time     // the deadline that idle has set; zero: none
	silent     time.Time     // since when the peer is, if idle gave up; zero: it did not
}

func newReader(nc net.Conn, limit int) *reader {
	r := &reader{nc: nc, buf: make([]byte, firstReadBuffer), max: max(limit, firstReadBuffer)}
	r.socket.Reset(nc)
	return r
}

// peek returns what is buffered.
func (r *reader) peek() []byte { return r.buf[r.start:r.end] }

// take returns the next n bytes, which must be buffered, and moves past them.
func (r *reader) take(n int) []byte {
	b := r.buf[r.start : r.start+n : r.start+n]
	r.start += n
	return b
}

// fill makes room and reads once. It overwrites what peek and take returned before.
func (r *reader) fill() error {
	r.makeRoom()
	r.setDeadline()
	return r.readOnce()
}

func (r *reader) makeRoom() {
	full := r.start == 0 && r.end == len(r.buf)
	switch {
	case (r.filled || full) && len(r.buf) < r.max:
		grown := make([]byte, min(max(2*len(r.buf), firstReadBuffer), r.max))
		r.end = copy(grown, r.peek())
		r.buf, r.start = grown, 0
	case r.start > 0:
		r.end = copy(r.buf, r.peek())
		r.start = 0
	}
}

// readOnce reads into the room that there is.
func (r *reader) readOnce() error {
	n, err := r.read(r.buf[r.end:])
	r.end += n
	r.filled = r.end == len(r.buf)
	return err
}

// setDeadline sets the deadline of a read inside a frame.
func (r *reader) setDeadline() {
	switch {
	case r.patience > 0:
		_ = r.nc.SetReadDeadline(time.Now().Add(r.patience)) // fails on a closed connection only
	case !r.until.IsZero():
		_ = r.nc.SetReadDeadline(time.Time{})
	}
	r.until = time.Time{}
}

// read reads once from the connection. It returns an error only together with n == 0.
func (r *reader) read(p []byte) (int, error) {
	n, err := r.socket.Read(p)
	if n > 0 || err == nil {
		return n, nil
	}
	return 0, &transportError{err: err}
}

// header waits for the next header and returns it without taking it: body does that.
func (r *reader) header() (header, error) {
	for {
		h, ok, err := parseHeader(r.peek())
		if ok || err != nil {
			return h, err
		}
		if err := r.fill(); err != nil {
			return header{}, r.unexpected(err, len(r.peek()) > 0)
		}
	}
}

// body waits for the body of the frame with header h and returns it. It is valid until the
// next call of header or body.
func (r *reader) body(h header) ([]byte, error) {
	if h.size > int64(r.max-h.length) {
		return r.largeBody(h)
	}
	r.large = nil
	whole := h.length + int(h.size)
	for len(r.peek()) < whole {
		if err := r.fill(); err != nil {
			return nil, r.unexpected(err, true)
		}
	}
	return r.take(whole)[h.length:], nil
}

// skip reads the frame that header has returned without keeping it, and calls each with every
// piece of its body.
func (r *reader) skip(h header, each func(piece []byte)) error {
	r.large = nil
	r.take(h.length)
	for left := h.size; left > 0; {
		n := int(min(left, int64(len(r.peek()))))
		if n == 0 {
			if err := r.fill(); err != nil {
				return r.unexpected(err, true)
			}
			continue
		}
		each(r.take(n))
		left -= int64(n)
	}
	return nil
}

// largeBody reads a body that does not fit into the buffer into memory of its own, which
// grows as bytes arrive.
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
		r.setDeadline()
		n, err := r.read(b[len(b):min(int64(cap(b)), h.size)])
		if err != nil {
			return nil, r.unexpected(err, true)
		}
		b = b[:len(b)+n]
	}
	r.large = b
	return b, nil
}

// buffered reports whether the next frame can be read, or found to be invalid, without
// waiting for the network.
func (r *reader) buffered() bool {
	h, ok, err := parseHeader(r.peek())
	return err != nil || ok && h.size <= int64(len(r.peek())-h.length)
}

// unexpected turns an io.EOF inside a frame into io.ErrUnexpectedEOF.
func (r *reader) unexpected(err error, insideFrame bool) error {
	if t, ok := errors.AsType[*transportError](err); ok && t.err == io.EOF && insideFrame {
		return &transportError{err: io.ErrUnexpectedEOF}
	}
	return err
}

// transportError is a failure of the transport, as opposed to something that the peer sent.
type transportError struct {
	err     error
	meaning error // what it means at this point of the handshake; nil: nothing special
}

func (e *transportError) Error() string { return e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }
