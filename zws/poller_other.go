//go:build !linux

package zws

import (
	"errors"
	"fmt"
)

// Poller only works on Linux.
type Poller struct{}

// NewPoller returns an error that wraps errors.ErrUnsupported on this system.
func NewPoller() (*Poller, error) {
	return nil, fmt.Errorf("zws: no epoll: %w", errors.ErrUnsupported)
}

// Close does nothing.
func (p *Poller) Close() error { return nil }

func (p *Poller) watch(*Conn) bool { return false }
func (p *Poller) forget(*Conn)     {}
