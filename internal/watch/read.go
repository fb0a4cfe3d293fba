package watch

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadFile reads a file of at most limit bytes, and describes what was read. Anything but a regular
// file is an error: opening a FIFO would block until there is a writer. Errors name the file.
func ReadFile(file string, limit int64) ([]byte, fs.FileInfo, error) {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(text)) > limit {
		return nil, nil, fmt.Errorf("%s: more than %d bytes", file, limit)
	}
	return text, info, nil
}
