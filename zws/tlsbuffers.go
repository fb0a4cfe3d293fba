package zws

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
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
