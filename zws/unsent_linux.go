package zws

import (
	"net"
	"syscall"
)

// maxUnsent is how many octets may wait in the kernel until the client has room for them.
//
// By itself the kernel keeps up to 4 MiB, and takes more when a third of that has gone. A
// client that reads 100 kB a second would thus see what is 40 s old, however short its
// queue, and no write to it would end within DefaultWriteTimeout, though it reads all the
// time. With this limit a write goes on when half of it has gone.
const maxUnsent = 128 << 10

// tcpNotsentLowat is TCP_NOTSENT_LOWAT of tcp(7), which package syscall does not have.
const tcpNotsentLowat = 25

// limitUnsent sets maxUnsent. On what is no TCP socket it does nothing.
func limitUnsent(conn net.Conn) {
	if file := fileOf(conn); file != nil {
		_ = file.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, maxUnsent)
		})
	}
}
