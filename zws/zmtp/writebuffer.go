package zmtp

import (
	"net"
	"sync"
	"syscall"

	"github.com/zwsbridge/zwsbridge/internal/nonblock"
)

const (
	// copiedBody is the largest body, in bytes, that is copied after its header instead of
	// being passed to the system by reference. Up to this size the copy is cheaper.
	copiedBody = 4 << 10
	// keptWriteBuffer is the largest buffer, in bytes, that goes back to the pool.
	keptWriteBuffer = 64 << 10
)

// writeBuffer collects the frames of one write.
type writeBuffer struct {
	buf  []byte
	done int      // buf[:done] is in vec
	vec  [][]byte // what comes before buf[done:]
	left net.Buffers
	size int64   // in bytes
	ends []int64 // the size at the end of each message
}

var writeBuffers = sync.Pool{New: func() any { return new(writeBuffer) }}

func newWriteBuffer() *writeBuffer { return writeBuffers.Get().(*writeBuffer) }

// free returns b to the pool.
func (b *writeBuffer) free() {
	clear(b.vec)
	b.buf, b.vec, b.done, b.left = b.buf[:0], b.vec[:0], 0, nil
	b.size, b.ends = 0, b.ends[:0]
	if cap(b.buf) <= keptWriteBuffer {
		writeBuffers.Put(b)
	}
}

// add appends f. A large body is kept by reference if it stays valid until the write.
func (b *writeBuffer) add(f Frame, staysValid bool) {
	before := len(b.buf)
	b.buf = appendHeader(b.buf, f)
	b.size += int64(len(b.buf) - before + len(f.Body))
	if staysValid && len(f.Body) > copiedBody {
		b.vec = append(b.vec, b.buf[b.done:], f.Body)
		b.done = len(b.buf)
		return
	}
	b.buf = append(b.buf, f.Body...)
}

// complete returns how many messages are complete in the first n bytes.
func (b *writeBuffer) complete(n int64) int {
	messages := 0
	for messages < len(b.ends) && b.ends[messages] <= n {
		messages++
	}
	return messages
}

// tryWrite writes what s, which can be nil, takes at once, and returns how many bytes that is. It
// leaves the rest for writeTo.
func (b *writeBuffer) tryWrite(s syscall.RawConn) int64 {
	if s == nil || len(b.vec) > 0 || len(b.buf) == 0 {
		return 0 // large bodies are rarely taken at once
	}
	n, _ := nonblock.Write(s, b.buf)
	b.done = n
	return int64(n)
}

// writeTo writes everything that was not written and returns how many bytes were written. On a socket of the
// operating system it is one call.
func (b *writeBuffer) writeTo(nc net.Conn) (int64, error) {
	if len(b.vec) == 0 {
		if len(b.buf) == b.done {
			return 0, nil
		}
		n, err := nc.Write(b.buf[b.done:])
		return int64(n), err
	}
	if b.done < len(b.buf) {
		b.vec = append(b.vec, b.buf[b.done:])
	}
	b.left = b.vec
	return b.left.WriteTo(nc)
}
