//go:build unix

package takeover

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestCloseUnused: the file of a socket that the new process does not use is removed, that of another stays.
func TestCloseUnused(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // the path of a socket has about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listeners := make(map[string][]net.Listener)
	for _, name := range []string{"used", "unused"} {
		old, err := net.Listen("unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		old.(*net.UnixListener).SetUnlinkOnClose(false)
		f, err := old.(*net.UnixListener).File()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		old.Close()
		listeners[name] = []net.Listener{l}
	}
	pair, other := net.Pipe()
	defer other.Close()
	defer pair.Close()
	p := newParent(1, pair, listeners)
	used := p.Listener("used")
	defer used.Close()
	p.CloseUnused()
	if _, err := os.Stat(filepath.Join(dir, "used")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "unused")); !os.IsNotExist(err) {
		t.Errorf("the file of the unused socket: %v, want that it does not exist", err)
	}
}
