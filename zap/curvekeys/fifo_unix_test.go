//go:build unix

package curvekeys

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestFIFO: a FIFO in the directory, which nobody writes to, is ignored like any foreign file.
func TestFIFO(t *testing.T) {
	dir := t.TempDir()
	stove := put(t, dir, "stove", "user-id", "stove")
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(t, os.Symlink("fifo", filepath.Join(dir, "link")))
	if ignored, err := Check(dir); err != nil || len(ignored) != 2 {
		t.Errorf("Check: %v, %v, want two files ignored", ignored, err)
	}
	a, _ := open(t, dir)
	if r := zap.Decide(t.Context(), a, curve(stove.Public[:])); r.Status != zap.OK {
		t.Errorf("stove: %+v", r)
	}
}
