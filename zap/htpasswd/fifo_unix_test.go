//go:build unix

package htpasswd

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFIFO: opening a FIFO without a writer would block the start or a reload.
func TestFIFO(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{File: file}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}
