package zmtp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

var errNoFrame = errors.New("zmtp: message without a frame")

// Write sends messages, all of them in one system call. It may be called by several
// goroutines; the messages of one call stay together. What msgs hold is not kept. A
// message without a frame is refused before anything is sent. Any other error is a
// [*WriteError], which tells what was sent, and the connection is closed.
func (c *Conn) Write(msgs ...Message) error {
	for _, m := range msgs {
		if len(m) == 0 {
			return errNoFrame
		}
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	b := newBatch()
	defer b.free()
	for _, m := range msgs {
		for i, body := range m {
			if err := c.encode(b, Frame{More: i < len(m)-1, Body: body}); err != nil {
				return &WriteError{Err: err}
			}
		}
		b.ends = append(b.ends, b.size)
	}
	if n, err := c.flush(b); err != nil {
		return &WriteError{Written: b.whole(n), Err: err}
	}
	return nil
}

// writeFrames sends frames that are no part of a message of the application.
func (c *Conn) writeFrames(frames ...Frame) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	b := newBatch()
	defer b.free()
	for _, f := range frames {
		if err := c.encode(b, f); err != nil {
			return err
		}
	}
	_, err := c.flush(b)
	return err
}

// encode adds to b what the mechanism makes of f. The lock is held on entry.
func (c *Conn) encode(b *batch, f Frame) error {
	sealed, err := c.mechanism.Encode(f)
	if err != nil {
		c.shut(err)
		return err
	}
	b.add(sealed, aliases(sealed.Body, f.Body))
	return nil
}

// flush writes b and tells how many octets of it were written. The lock is held on entry.
func (c *Conn) flush(b *batch) (n int64, err error) {
	err = c.nc.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout))
	if err == nil {
		n, err = b.writeTo(c.nc)
	}
	if err == nil {
		return n, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("zmtp: the peer did not take it within %v: %w", c.o.WriteTimeout, os.ErrDeadlineExceeded)
	}
	c.shut(err)
	return n, *c.cause.Load()
}

// writeRaw writes octets of the handshake, whose deadline closes the connection.
func (c *Conn) writeRaw(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := c.nc.Write(p); err != nil {
		return &transportError{err: err}
	}
	return nil
}

const (
	// copiedBody is up to which size a body is copied behind its header rather than
	// handed to the system by reference: below it the copy is cheaper.
	copiedBody = 4 << 10
	// keptBatch is how large a batch may have become and still be used again.
	keptBatch = 64 << 10
)

// batch collects the octets of one write.
type batch struct {
	buf  []byte
	done int      // up to here buf is in vec
	vec  [][]byte // what comes before buf[done:]
	left net.Buffers
	size int64   // octets
	ends []int64 // where each message ends
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func newBatch() *batch { return batches.Get().(*batch) }

// free gives b back.
func (b *batch) free() {
	clear(b.vec)
	b.buf, b.vec, b.done, b.left = b.buf[:0], b.vec[:0], 0, nil
	b.size, b.ends = 0, b.ends[:0]
	if cap(b.buf) <= keptBatch {
		batches.Put(b)
	}
}

// add appends f. Its body is referred to only if it is large and lasts until the write.
func (b *batch) add(f Frame, lasts bool) {
	before := len(b.buf)
	b.buf = appendHeader(b.buf, f)
	b.size += int64(len(b.buf) - before + len(f.Body))
	if lasts && len(f.Body) > copiedBody {
		b.vec = append(b.vec, b.buf[b.done:], f.Body)
		b.done = len(b.buf)
		return
	}
	b.buf = append(b.buf, f.Body...)
}

// whole is how many messages the first n octets hold whole.
func (b *batch) whole(n int64) int {
	messages := 0
	for messages < len(b.ends) && b.ends[messages] <= n {
		messages++
	}
	return messages
}

// writeTo writes everything, to a socket of the system in one call, and tells how many
// octets were written.
func (b *batch) writeTo(nc net.Conn) (int64, error) {
	if len(b.vec) == 0 {
		if len(b.buf) == 0 {
			return 0, nil
		}
		n, err := nc.Write(b.buf)
		return int64(n), err
	}
	if b.done < len(b.buf) {
		b.vec = append(b.vec, b.buf[b.done:])
	}
	b.left = b.vec
	return b.left.WriteTo(nc)
}

// aliases tells whether a is b and not a copy of it.
func aliases(a, b []byte) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}
