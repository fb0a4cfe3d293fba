//go:build unix

package main

import (
	"os"
	"syscall"
)

// handoverSignals request that this process hands over to a new one.
var handoverSignals = []os.Signal{syscall.SIGUSR2}
