package certs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Modes and owners of secret files as orchestrators mount them: Kubernetes with fsGroup and
// systemd credentials (0440 of root), Debian's root:ssl-cert (0640), Docker secrets (0444).
func TestPrivateModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes on Windows")
	}
	for _, tt := range []struct {
		mode   fs.FileMode
		strict bool // accepted without AnyMode, if root or we own the file
		own    bool // accepted without AnyMode whoever owns the file
	}{
		{0o600, true, true}, {0o400, true, true}, {0o700, true, true}, {0o500, true, true},
		{0o640, true, false}, {0o440, true, false}, {0o740, true, false}, {0o040, true, false},
		{0o660, false, false}, {0o650, false, false}, {0o620, false, false}, {0o610, false, false}, {0o670, false, false},
		{0o644, false, false}, {0o444, false, false}, {0o604, false, false}, {0o601, false, false}, {0o602, false, false},
		{0o666, false, false}, {0o777, false, false},
	} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), os.Chmod(file, tt.mode)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := (Private{}).Check(file, info); (err == nil) != tt.strict {
			t.Errorf("mode %04o: %v, want accepted: %v", tt.mode, err, tt.strict)
		}
		var refused *PermissionError
		switch err := (Private{}).Check(file, foreign{info}); {
		case (err == nil) != tt.own:
			t.Errorf("mode %04o of another user: %v, want accepted: %v", tt.mode, err, tt.own)
		case err != nil && (!errors.As(err, &refused) || refused.Foreign != tt.strict):
			t.Errorf("mode %04o of another user: %v", tt.mode, err)
		}
		if err := (Private{AnyMode: true}).Check(file, info); err != nil {
			t.Errorf("mode %04o with AnyMode: %v", tt.mode, err)
		}
	}
}

// The group of a file of root or ours does not matter: root may have chosen any.
func TestPrivateGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	for _, tt := range []struct {
		uid, gid int
		accepted bool
	}{{0, 0, true}, {0, 65534, true}, {65534, 0, false}, {65534, 65534, false}} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), os.Chown(file, tt.uid, tt.gid), os.Chmod(file, 0o440)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPrivate(file, 10); (err == nil) != tt.accepted {
			t.Errorf("0440 %d:%d: %v, want accepted: %v", tt.uid, tt.gid, err, tt.accepted)
		}
		if _, err := (Private{AnyMode: true}).Read(file, 10); err != nil {
			t.Errorf("0440 %d:%d with AnyMode: %v", tt.uid, tt.gid, err)
		}
	}
}

// foreign is a file whose owner is neither root nor this user.
type foreign struct{ fs.FileInfo }

func (foreign) Sys() any { return nil }
