//go:build unix

package discover

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFileFIFO: a FIFO in place of the file is a failure, and does not block what comes after it.
func TestFileFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backends.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reports := follow(t, NewFile(FileOptions{Path: path, Endpoint: tcpOnly, Log: slog.New(slog.DiscardHandler)}))
	if got, want := next(t, reports), "error: "+path+": not a regular file"; got != want {
		t.Fatalf("reported %q, want %q", got, want)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := next(t, reports); got == "" {
		t.Fatal("a missing file is not a failure")
	}
	write(t, path, `["tcp://a:1"]`)
	if got := next(t, reports); got != "tcp://a:1" {
		t.Fatalf("reported %q", got)
	}
}
