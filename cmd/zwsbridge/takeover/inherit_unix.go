//go:build unix

package takeover

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Inherit returns the process that has started this one by Start; nil if none has. It is called once.
func Inherit() (*Parent, error) {
	value := os.Getenv(variable)
	if value == "" {
		return nil, nil
	}
	if err := os.Unsetenv(variable); err != nil {
		return nil, err
	}
	pid, list, _ := strings.Cut(value, " ")
	if pid != strconv.Itoa(os.Getppid()) { // of a process before it
		return nil, nil
	}
	var names []string
	if err := json.Unmarshal([]byte(list), &names); err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	pair, err := inherited(pairDescriptor, net.FileConn)
	if err != nil {
		return nil, fmt.Errorf("connection to process %s: %w", pid, err)
	}
	listeners := make(map[string][]net.Listener)
	for i, name := range names {
		l, err := inherited(firstListener+i, net.FileListener)
		if err != nil {
			return nil, fmt.Errorf("listener %s of process %s: %w", name, pid, err)
		}
		listeners[name] = append(listeners[name], l)
	}
	return newParent(os.Getppid(), pair, listeners), nil
}

// inherited makes what a descriptor is, which is closed: the result has another.
func inherited[T any](fd int, from func(*os.File) (T, error)) (T, error) {
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "takeover")
	defer f.Close()
	return from(f)
}
