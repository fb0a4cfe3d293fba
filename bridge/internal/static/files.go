package static

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// files hides files and directories whose name begins with a dot, directories without an
// index.html, and links that lead out of the directory.
type files struct{ fs.FS }

// Open implements fs.FS.
func (f files) Open(name string) (fs.File, error) {
	for element := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(element, ".") && element != "." {
			return nil, notFound(name)
		}
	}
	file, err := f.FS.Open(name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil:
		return nil, notFound(name)
	}
	info, err := file.Stat()
	if err != nil || !info.IsDir() {
		return file, nil // FileServer needs its Seek
	}
	if _, err := fs.Stat(f.FS, path.Join(name, "index.html")); err != nil {
		_ = file.Close()
		return nil, notFound(name)
	}
	return unlisted{file}, nil
}

// openCopy opens the compressed copy of a file, if it is there and not older than the file.
func (f files) openCopy(name string, original fs.FileInfo) (interface {
	fs.File
	io.ReadSeeker
}, fs.FileInfo, bool) {
	file, err := f.Open(name)
	if err != nil {
		return nil, nil, false
	}
	info, err := file.Stat()
	content, ok := file.(interface {
		fs.File
		io.ReadSeeker
	})
	if err != nil || !ok || !info.Mode().IsRegular() || info.ModTime().Before(original.ModTime()) {
		_ = file.Close()
		return nil, nil, false
	}
	return content, info, true
}

func notFound(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// unlisted is a directory that does not list its files: only its index.html is served.
type unlisted struct{ fs.File }

// ReadDir implements fs.ReadDirFile.
func (unlisted) ReadDir(int) ([]fs.DirEntry, error) { return nil, fs.ErrPermission }
