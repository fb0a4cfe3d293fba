package poll

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

const supported = true

// ErrAgain reports that a call would have to wait.
const ErrAgain = syscall.EAGAIN

func read(fd uintptr, p []byte) (n int, err error) {
	n, err = uninterrupted(func() (int, error) { return syscall.Read(int(fd), p) })
	if n == 0 && err == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return n, err
}

func write(fd uintptr, p []byte) (int, error) {
	return uninterrupted(func() (int, error) { return syscall.Write(int(fd), p) })
}

func writev(fd uintptr, pieces [][]byte) (int, error) {
	return uninterrupted(func() (int, error) { return unix.Writev(int(fd), pieces) })
}

// uninterrupted repeats a call that was interrupted.
func uninterrupted(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != syscall.EINTR {
			return n, err
		}
	}
}
