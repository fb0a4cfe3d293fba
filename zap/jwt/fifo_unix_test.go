//go:build unix

package jwt

import (
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/zwsbridge/zwsbridge/certs"
)

// TestFIFO: a FIFO in the directory, which nobody writes to, is ignored like any foreign file;
// named as the file of keys it is refused.
func TestFIFO(t *testing.T) {
	dir := t.TempDir()
	k := minted(t, dir, "k.pem", "ES256")
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	if ignored, err := CheckKeys(dir, certs.Private{}); err != nil || len(ignored) != 1 {
		t.Errorf("CheckKeys: %v, %v, want one file ignored", ignored, err)
	}
	if _, err := CheckKeys(filepath.Join(dir, "fifo"), certs.Private{}); err == nil {
		t.Error("the file of keys can be a FIFO")
	}
	o := idp(dir)
	o.Logger = slog.New(slog.DiscardHandler)
	if got := verdict(ask(t, start(t, o, 0), signed(t, k, nil))); got != "200" {
		t.Errorf("%s, want 200", got)
	}
}
