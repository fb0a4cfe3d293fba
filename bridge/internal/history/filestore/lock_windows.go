package filestore

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock locks f until it is closed, and reports whether another has locked it.
func lock(f *os.File) (taken bool, err error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err = windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return true, nil
	}
	return false, err
}

// syncDir does nothing: Windows does not sync directories.
func syncDir(string) error { return nil }
