package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// PermissionError reports a file with a secret that users other than its owner can access.
type PermissionError struct {
	File string
	Mode fs.FileMode // permission bits
	// Foreign is set if group may read the file and the file belongs to neither root nor the
	// user of this process.
	Foreign bool
}

func (e *PermissionError) Error() string {
	if e.Foreign {
		return fmt.Sprintf("%s holds a secret, has mode %04o, and belongs to neither root nor this user, so that other users can access it; want 0600 (chmod 600 %s) or another owner", e.File, e.Mode, e.File)
	}
	return fmt.Sprintf("%s holds a secret and has mode %04o, so that other users can access it; want 0600 (chmod 600 %s), or 0640 for a group", e.File, e.Mode, e.File)
}

// Private reads files that hold secrets. The zero value accepts files that only their owner
// can access, and files of root or of the user of this process that a group can read too, as
// orchestrators mount them (0440 with a group for the container, 0640 root:ssl-cert). On
// Windows, where files have no such mode, it accepts every file.
type Private struct {
	// AnyMode accepts files whatever their mode (server.insecure_file_modes).
	AnyMode bool
}

// Check returns a *[PermissionError] if the mode or the owner of a file with a secret is not
// acceptable. info describes the opened file, so that the file cannot be replaced between
// check and read.
func (p Private) Check(file string, info fs.FileInfo) error {
	const (
		others     = 0o007
		group      = 0o070
		groupReads = 0o040
	)
	mode := info.Mode().Perm()
	switch {
	case p.AnyMode || !hasModes || mode&(group|others) == 0:
		return nil
	case mode&others != 0 || mode&group != groupReads:
		return &PermissionError{File: file, Mode: mode}
	case !ownedByRootOrUs(info):
		return &PermissionError{File: file, Mode: mode, Foreign: true}
	}
	return nil
}

// Read reads a file that holds a secret. A file of more than limit bytes is an error, and so
// is one that [Private.Check] refuses.
func (p Private) Read(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := p.Check(file, info); err != nil {
		return nil, err
	}
	return readLimited(f, file, limit)
}

// ReadPrivate is [Private.Read] of the zero value.
func ReadPrivate(file string, limit int64) ([]byte, error) { return Private{}.Read(file, limit) }

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
