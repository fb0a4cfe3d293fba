package zws

import (
	"net"
	"syscall"
	"unsafe"

	"github.com/zwsbridge/zwsbridge/internal/poll"
)

// maxUnsent limits what waits in the kernel until the client has room for it, in bytes.
//
// By default the kernel keeps up to 4 MiB, and accepts more when a third of that is sent. A
// client that reads 100 kB per second would then see what is 40 s old, however short its
// queue, and no write to it would end within DefaultWriteTimeout although it reads all the
// time. With this limit a write continues when half of it is sent.
const maxUnsent = 128 << 10

// tcpNotsentLowat is TCP_NOTSENT_LOWAT of tcp(7), which package syscall lacks.
const tcpNotsentLowat = 25

// unsent returns how many bytes the peer's TCP has not acknowledged (SIOCOUTQ of tcp(7), which
// is TIOCOUTQ).
func unsent(conn net.Conn) (n int, known bool) {
	file := poll.Socket(conn)
	if file == nil {
		return 0, false
	}
	var size int32
	var errno syscall.Errno
	err := file.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&size)))
	})
	return int(size), err == nil && errno == 0
}

// limitUnsent sets maxUnsent. It only affects TCP sockets.
func limitUnsent(conn net.Conn) {
	if file := poll.Socket(conn); file != nil {
		_ = file.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, maxUnsent)
		})
	}
}
