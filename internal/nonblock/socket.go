package nonblock

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// Socket returns the socket that conn is, for [Write]; nil if there are wrappers that change what is
// written, such as TLS, or the system is not supported. A type that embeds a TCP connection is such a
// wrapper, unless its method Socket returns that connection.
func Socket(conn net.Conn) syscall.RawConn {
	if wrapper, ok := conn.(interface{ Socket() *net.TCPConn }); ok {
		conn = wrapper.Socket()
	}
	var raw syscall.RawConn
	var err error = errors.ErrUnsupported
	switch c := conn.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if err != nil || !supported {
		return nil
	}
	return raw
}

// operation is one call of Write or Writev. Its functions are made once, so that a call allocates
// nothing.
type operation struct {
	one           []byte
	many          [][]byte
	n             int
	err           error
	write, writev func(fd uintptr)
}

var operations = sync.Pool{New: func() any {
	o := new(operation)
	o.write = func(fd uintptr) { o.n, o.err = write(fd, o.one) }
	o.writev = func(fd uintptr) { o.n, o.err = writev(fd, o.many) }
	return o
}}

// run runs the operation on s.
func (o *operation) run(s syscall.RawConn, f func(fd uintptr)) (n int, err error) {
	if err = s.Control(f); err == nil {
		n, err = o.n, o.err
	}
	o.one, o.many, o.n, o.err = nil, nil, 0, nil
	operations.Put(o)
	return max(n, 0), err
}

// Write writes as much of p as the system takes at once, and returns how many bytes that is; [ErrAgain]
// if it is nothing. Only one goroutine may write a socket at a time, here or by other means. A deadline
// has no effect.
func Write(s syscall.RawConn, p []byte) (n int, err error) {
	o := operations.Get().(*operation)
	o.one = p
	return o.run(s, o.write)
}

// Writev is Write for what lies in several pieces.
func Writev(s syscall.RawConn, pieces [][]byte) (n int, err error) {
	o := operations.Get().(*operation)
	o.many = pieces
	return o.run(s, o.writev)
}
