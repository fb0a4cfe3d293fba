package accept

import (
	"syscall"
	"unsafe"
)

const (
	// maxUnsent limits what the kernel keeps for a client beside what is on the way to it, in
	// bytes. By default it keeps up to 4 MiB.
	maxUnsent = 128 << 10
	// tcpNotsentLowat is TCP_NOTSENT_LOWAT of tcp(7), which package syscall lacks.
	tcpNotsentLowat = 25
)

// limitUnsent sets maxUnsent.
func (c *Conn) limitUnsent() {
	c.control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat, maxUnsent)
	})
}

// unacknowledged returns how many bytes the kernel has that the client has not taken yet; -1
// if that is not known.
func (c *Conn) unacknowledged() int {
	n, failed := int32(0), true
	c.control(func(fd uintptr) {
		// SIOCOUTQ of tcp(7), which has the number of TIOCOUTQ.
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
		failed = errno != 0
	})
	if failed {
		return -1
	}
	return int(n)
}

func (c *Conn) control(f func(fd uintptr)) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(f)
	}
}
