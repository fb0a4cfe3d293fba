package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// PermissionError: a file with a secret that others than its owner may read or write.
type PermissionError struct {
	File string
	Mode fs.FileMode // its permission bits
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s holds a secret and has mode %04o: others may reach it; want 0600 (chmod 600 %s)", e.File, e.Mode, e.File)
}

// ReadPrivate reads a file that holds a secret, of at most limit octets. It returns a
// *[PermissionError] if group or others have any right to the file; where files have no
// such modes (Windows) that is not checked. The mode is that of the opened file, so that
// nothing can be put in its place in between.
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

func readLimited(r io.Reader, file string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d octets", file, limit)
	}
	return b, err
}

// writeNew writes a file that must not exist yet and leaves nothing behind on failure.
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
