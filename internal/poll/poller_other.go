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
func New() (*Poller, error) {
	return nil, fmt.Errorf("no epoll: %w", errors.ErrUnsupported)
}

// Close does nothing.
func (p *Poller) Close() error { return nil }

// Watch returns false.
func (p *Poller) Watch(*Place, syscall.RawConn, Watched) bool { return false }

// Forget does nothing.
func (p *Poller) Forget(*Place) {}
