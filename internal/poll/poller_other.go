//go:build !linux

package poll

import (
	"errors"
	"fmt"
	"syscall"
)

// Poller only works on Linux.
type Poller struct{}

// New returns an error that wraps errors.ErrUnsupported on this system.
func New() (*Poller, error) { return nil, fmt.Errorf("no epoll: %w", errors.ErrUnsupported) }

// Close does nothing.
func (*Poller) Close() error { return nil }

// Watch returns an error.
func (*Poller) Watch(syscall.RawConn, Turn) (*Watch, error) { return nil, errors.ErrUnsupported }

type loop struct{}

func (*loop) yield(uint64) {}

// Detach does nothing.
func (*Watch) Detach() {}

func (*Watch) attach() {}
func (*Watch) forget() {}
