//go:build !unix

package takeover

import (
	"errors"
	"fmt"
	"syscall"
)

// Listener is a listener that another process can have.
type Listener struct {
	Name string
	syscall.Conn
}

// Start fails: these systems cannot pass listeners on.
func Start([]Listener) (*Child, error) {
	return nil, fmt.Errorf("takeover by another process: %w: restart the program", errors.ErrUnsupported)
}

// Inherit returns nil: no process is started by Start.
func Inherit() (*Parent, error) { return nil, nil }
