package nonblock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const supported = true

// ErrAgain reports that a call would have to wait.
const ErrAgain = syscall.EAGAIN

func read(fd uintptr, p []byte) (int, error) {
	return again(func() (int, error) {
		if len(p) > small {
			return syscall.Read(int(fd), p)
		}
		return raw(syscall.SYS_READ, fd, p)
	})
}

func write(fd uintptr, p []byte) (int, error) {
	return again(func() (int, error) {
		if len(p) > small {
			return syscall.Write(int(fd), p)
		}
		return raw(syscall.SYS_WRITE, fd, p)
	})
}

// raw makes a system call that does not wait, since Go's sockets are non-blocking.
func raw(trap, fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
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
