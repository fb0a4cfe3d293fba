package poll

import (
	"net"
	"sync"
	"syscall"
)

// Socket returns the socket below conn and its wrappers; nil if there is none. What is read or
// written there is not what conn reads or writes if a wrapper changes it, see Direct.
func Socket(conn any) syscall.RawConn {
	for {
		switch c := conn.(type) {
		case syscall.Conn:
			raw, err := c.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		case interface{ NetConn() net.Conn }: // TLS
			conn = c.NetConn()
		case interface{ Raw() net.Conn }: // PROXY protocol
			conn = c.Raw()
		default:
			return nil
		}
	}
}

// Direct returns the socket that conn is, for Read and Write; nil if there are wrappers that change
// what is read or written, such as TLS, or the system has no non-blocking sockets.
func Direct(conn any) syscall.RawConn {
	if c, ok := conn.(syscall.Conn); ok && supported {
		raw, err := c.SyscallConn()
		if err == nil {
			return raw
		}
	}
	return nil
}

// operation is one call of Read or Write. Its functions are made once, so that a call allocates
// nothing.
type operation struct {
	one   []byte
	many  [][]byte
	n     int
	err   error
	read  func(fd uintptr)
	write func(fd uintptr)
}

var operations = sync.Pool{New: func() any {
	o := new(operation)
	o.read = func(fd uintptr) { o.n, o.err = read(fd, o.one) }
	o.write = func(fd uintptr) {
		if o.many != nil {
			o.n, o.err = writev(fd, o.many)
		} else {
			o.n, o.err = write(fd, o.one)
		}
	}
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

// Read reads what has arrived and does not wait: the error is [ErrAgain] if that is nothing. Only
// one goroutine may read a socket at a time, here or by other means. A deadline has no effect.
func Read(s syscall.RawConn, p []byte) (n int, err error) {
	o := operations.Get().(*operation)
	o.one = p
	return o.run(s, o.read)
}

// Write writes as much of p as the system takes at once; [ErrAgain] if that is nothing. Only one
// goroutine may write a socket at a time, here or by other means. A deadline has no effect.
func Write(s syscall.RawConn, p []byte) (n int, err error) {
	o := operations.Get().(*operation)
	o.one = p
	return o.run(s, o.write)
}

// Writev is Write for what lies in several pieces.
func Writev(s syscall.RawConn, pieces [][]byte) (n int, err error) {
	o := operations.Get().(*operation)
	o.many = pieces
	return o.run(s, o.write)
}
