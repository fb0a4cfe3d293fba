//go:build unix

package takeover

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Listener is a listener that another process can have.
type Listener struct {
	Name string // see Parent.Listener
	syscall.Conn
}

// dropped are the variables that are this process's own: of an earlier takeover, of the sockets that systemd
// has passed to it, and whose watchdog it is.
var dropped = []string{variable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"}

// Start starts the program of this process, which may be a newer version by now, with the same arguments and
// with listeners. The caller follows Child.Events, and goes on with its own listeners unless they say Ready.
func Start(listeners []Listener) (*Child, error) {
	program, err := exec.LookPath(os.Args[0])
	if err != nil {
		return nil, err
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer func() { _ = syscall.Close(pair[1]) }()
	syscall.CloseOnExec(pair[0])
	syscall.CloseOnExec(pair[1])
	own := os.NewFile(uintptr(pair[0]), "takeover")
	defer own.Close() // FileConn has one of its own
	conn, err := net.FileConn(own)
	if err != nil {
		return nil, err
	}
	pid, err := fork(program, uintptr(pair[1]), listeners)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		conn.Close()
		return nil, err
	}
	events := make(chan Event, 2)
	c := &Child{Events: events, process: process, pair: conn}
	go c.follow(events)
	return c, nil
}

// fork starts the process. The descriptors are taken without os.File, which would make the sockets
// block, here as well.
func fork(program string, pair uintptr, listeners []Listener) (pid int, err error) {
	files := []uintptr{0, 1, 2, pair}
	var names []string
	defer func() {
		for _, fd := range files[firstListener:] {
			_ = syscall.Close(int(fd))
		}
	}()
	for _, l := range listeners {
		fd, err := duplicate(l)
		if err != nil {
			return 0, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		files, names = append(files, fd), append(names, l.Name)
	}
	list, err := json.Marshal(names)
	if err != nil {
		return 0, err
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(dropped, name)
	})
	env = append(env, variable+"="+strconv.Itoa(os.Getpid())+" "+string(list))
	return syscall.ForkExec(program, append([]string{os.Args[0]}, os.Args[1:]...), &syscall.ProcAttr{Env: env, Files: files})
}

// duplicate returns a descriptor of the socket that does not survive an exec.
func duplicate(c syscall.Conn) (fd uintptr, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var dup int
	var failed error
	err = raw.Control(func(fd uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if dup, failed = syscall.Dup(int(fd)); failed == nil {
			syscall.CloseOnExec(dup)
		}
	})
	if err != nil {
		return 0, err
	}
	return uintptr(dup), os.NewSyscallError("dup", failed)
}
