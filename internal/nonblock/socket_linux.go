package nonblock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const supported = true

// ErrAgain reports that a call would have to wait.
const ErrAgain = syscall.EAGAIN

func write(fd uintptr, p []byte) (int, error) {
	return again(func() (int, error) { return syscall.Write(int(fd), p) })
}

func writev(fd uintptr, pieces [][]byte) (int, error) {
	return again(func() (int, error) { return unix.Writev(int(fd), pieces) })
}

// again repeats a call that was interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != syscall.EINTR {
			return n, err
		}
	}
}
