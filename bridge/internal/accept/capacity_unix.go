//go:build unix

package accept

import "syscall"

// descriptors returns the limit of file descriptors (RLIMIT_NOFILE), which the Go runtime has
// raised to the hard limit; 0 if there is none.
func descriptors() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || uint64(l.Cur) > 1<<30 {
		return 0
	}
	return int(l.Cur)
}
