package main

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestAbandoned: only a socket that nothing listens at is replaced; one whose program does not accept
// connections is not.
func TestAbandoned(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"live", "left"} {
		l, err := net.Listen("unix", path(name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "left" {
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			l.Close()
		}
		defer l.Close()
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path("busy")}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("unix", path("busy")) // the backlog is full now
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	for name, want := range map[string]bool{"none": false, "file": false, "live": false, "busy": false, "left": true} {
		if got := abandoned(path(name)); got != want {
			t.Errorf("%s: got %t, want %t", name, got, want)
		}
	}
}
