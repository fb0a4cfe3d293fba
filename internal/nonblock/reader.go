package nonblock

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Reader reads a connection as its method Read does: it waits for bytes, and deadlines and Close end
// that. The zero Reader has no connection. One goroutine at a time may use it.
type Reader struct {
	conn   net.Conn
	socket syscall.RawConn // nil: conn.Read reads

	// Of one call. The function is made once, so that a call allocates nothing.
	p    []byte
	n    int
	err  error
	read func(fd uintptr) (done bool)
}

// Reset makes r a reader of conn, which can be nil, or read by another one later.
func (r *Reader) Reset(conn net.Conn) {
	r.conn, r.socket = conn, nil
	if conn != nil {
		r.socket = Socket(conn)
	}
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.socket == nil || len(p) == 0 {
		return r.conn.Read(p)
	}
	if r.read == nil {
		r.read = func(fd uintptr) bool {
			r.n, r.err = read(fd, r.p)
			return r.err != ErrAgain
		}
	}
	r.p = p
	waiting := r.socket.Read(r.read)
	r.p = nil
	switch {
	case waiting != nil:
		if op, ok := errors.AsType[*net.OpError](waiting); ok {
			op.Op = "read" // as conn.Read calls it
		}
		return 0, waiting
	case r.err != nil:
		return 0, &net.OpError{
			Op: "read", Net: r.conn.LocalAddr().Network(), Source: r.conn.LocalAddr(), Addr: r.conn.RemoteAddr(),
			Err: os.NewSyscallError("read", r.err),
		}
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}
