//go:build unix

package zmtp

import "syscall"

// defaultHandshakes leaves most file descriptors to connections whose handshake is complete:
// strangers can have as many handshakes under way as are permitted.
func defaultHandshakes() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return DefaultHandshakes
	}
	return int(max(min(uint64(limit.Cur)/16, DefaultHandshakes), 1))
}
