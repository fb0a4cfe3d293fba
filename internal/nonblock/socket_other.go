//go:build !linux

package nonblock

import "errors"

const supported = false

// ErrAgain reports that a call would have to wait.
var ErrAgain = errors.New("nonblock: the call would have to wait")

func read(uintptr, []byte) (int, error)     { return 0, ErrAgain }
func write(uintptr, []byte) (int, error)    { return 0, ErrAgain }
func writev(uintptr, [][]byte) (int, error) { return 0, ErrAgain }
