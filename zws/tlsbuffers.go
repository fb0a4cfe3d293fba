package zws

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
	"syscall"
	"unsafe"
)

// crypto/tls keeps the buffers that it has read a ClientHello with, 3.4 kB, and later one for the
// largest record that the client has sent, up to 17 kB, until the connection ends. It has no
// way to give them back, so releaseTLS empties them where they are. In a version of Go that has
// no such fields, it does nothing, and TestReleaseTLS fails.

// tlsBuffers are the offsets in a tls.Conn of what it reads with: records, handshake messages, and
// what of a record has not been returned, which lies in the memory of the first.
var tlsBuffers = struct{ records, messages, rest []uintptr }{
	tlsField[bytes.Buffer]("rawInput"), tlsField[bytes.Buffer]("hand"), tlsField[bytes.Reader]("input"),
}

// tlsField returns the offset of a field of tls.Conn, if it has such a field.
func tlsField[T any](name string) []uintptr {
	f, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
	if !ok || f.Type != reflect.TypeFor[T]() {
		return nil
	}
	return []uintptr{f.Offset}
}

// releaseTLS gives back the empty buffers of a TLS connection for reading. Nobody reads meanwhile.
func releaseTLS(conn net.Conn) {
	c, ok := conn.(*tls.Conn)
	if !ok {
		return
	}
	release[bytes.Buffer](c, tlsBuffers.records)
	release[bytes.Buffer](c, tlsBuffers.messages)
	release[bytes.Reader](c, tlsBuffers.rest)
}

// drainedTLS reports whether conn is TLS on a socket, and all that was read from the socket has been
// returned. If it is not known, it returns false. Nobody reads meanwhile.
func drainedTLS(conn net.Conn) bool {
	c, ok := conn.(*tls.Conn)
	if !ok || len(tlsBuffers.records) == 0 || len(tlsBuffers.rest) == 0 {
		return false
	}
	_, socket := c.NetConn().(syscall.Conn)
	records := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), tlsBuffers.records[0]))
	rest := (*bytes.Reader)(unsafe.Add(unsafe.Pointer(c), tlsBuffers.rest[0]))
	return socket && records.Len() == 0 && rest.Len() == 0
}

// release zeroes the empty fields of type T at these offsets of c.
func release[T any, P interface {
	*T
	Len() int
}](c *tls.Conn, offsets []uintptr) {
	for _, offset := range offsets {
		if p := P(unsafe.Add(unsafe.Pointer(c), offset)); p.Len() == 0 {
			*p = *new(T)
		}
	}
}
