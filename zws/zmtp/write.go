package zmtp

import (
	"errors"
	"fmt"
	"os"
	"time"
)

var errNoFrame = errors.New("zmtp: message without a frame")

// Write sends messages, all of them in one system call. It may be called by several
// goroutines; the messages of one call stay together. Write does not keep what msgs refers to.
// If a message has no frame, nothing is sent. Any other error is a [*WriteError], which says
// how much was sent, and closes the connection.
func (c *Conn) Write(msgs ...Message) error {
	for _, m := range msgs {
		if len(m) == 0 {
			return errNoFrame
		}
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	b := newWriteBuffer()
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
		return &WriteError{Written: b.complete(n), Err: err}
	}
	return nil
}

// writeFrames sends commands, or messages of one frame.
func (c *Conn) writeFrames(frames ...Frame) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	b := newWriteBuffer()
	defer b.free()
	for _, f := range frames {
		if err := c.encode(b, f); err != nil {
			return err
		}
	}
	_, err := c.flush(b)
	return err
}

// encode encodes f with the mechanism and adds it to b. Lock held on entry: writing.
func (c *Conn) encode(b *writeBuffer, f Frame) error {
	encoded, err := c.mechanism.Encode(f)
	if err != nil {
		c.shut(err)
		return err
	}
	b.add(encoded, aliases(encoded.Body, f.Body))
	return nil
}

// flush writes b and returns how many bytes were written. Lock held on entry: writing. Setting a
// deadline costs as much as a tenth of a small write, so it is done only where the system does not
// take everything at once.
func (c *Conn) flush(b *writeBuffer) (n int64, err error) {
	if n = b.tryWrite(c.direct); n == b.size {
		return n, nil
	}
	err = c.nc.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout))
	if err == nil {
		var more int64
		more, err = b.writeTo(c.nc)
		n += more
	}
	if err == nil {
		return n, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("zmtp: write not complete within %v: %w", c.o.WriteTimeout, os.ErrDeadlineExceeded)
	}
	c.shut(err)
	return n, *c.cause.Load()
}

// writeRaw writes bytes of the handshake. The deadline of the handshake closes the
// connection.
func (c *Conn) writeRaw(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := c.nc.Write(p); err != nil {
		return &transportError{err: err}
	}
	return nil
}

// aliases reports whether a and b are the same memory.
func aliases(a, b []byte) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}
