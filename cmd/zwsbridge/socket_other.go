//go:build !unix

package main

import "syscall"

// limitMode does nothing: admin.socket is not available on these systems.
func limitMode(_, _ string, _ syscall.RawConn) error { return nil }
