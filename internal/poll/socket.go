package poll

import (
	"net"
	"syscall"
)

// Watched is a connection that a [Poller] can watch.
type Watched interface {
	// Ready is called when something can be read, if only an error. It must not block.
	Ready()
}

// Place is the place of a connection in a [Poller]; the zero value has none yet. It belongs to one
// connection from its opening to its close.
type Place struct {
	number uint64 // guarded by Poller.mu; 0: none
}

// Socket returns the socket below conn and its wrappers; nil if there is none.
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
