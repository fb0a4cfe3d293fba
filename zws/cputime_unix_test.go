//go:build unix

package zws_test

import (
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the CPU time of the process so far.
func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
