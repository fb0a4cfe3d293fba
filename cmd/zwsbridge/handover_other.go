//go:build !unix

package main

import "os"

// handoverSignals is empty: these systems cannot pass listeners on.
var handoverSignals []os.Signal
