package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// PermissionError reports a file with a secret that users other than its owner can access.
type PermissionError struct {
	File string
	Mode fs.FileMode // permission bits
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s holds a secret and has mode %04o, so that other users can access it; want 0600 (chmod 600 %s)", e.File, e.Mode, e.File)
}

// ReadPrivate reads a file that holds a secret. A file of more than limit bytes is an error.
// It returns a *[PermissionError] if group or others have any permission on the file, except
// on Windows, where files have no such mode. It checks the mode of the opened file, so that
// the file cannot be replaced between check and read.
func ReadPrivate(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, &PermissionError{file, mode}
	}
	return readLimited(f, file, limit)
}

// readLimited reads all of r, at most limit bytes. Errors name file.
func readLimited(r io.Reader, file string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", file, limit)
	}
	return b, err
}

// writeNew writes a file that must not exist yet. On failure it removes the file.
func writeNew(file string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(file)
	}
	return err
}
