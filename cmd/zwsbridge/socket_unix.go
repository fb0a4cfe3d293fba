//go:build unix

package main

import "syscall"

// limitMode has a unix socket created with socketMode on Linux, less what the umask removes, so
// that nobody else can connect before its mode is set. Other systems ignore it.
func limitMode(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), socketMode) })
}
