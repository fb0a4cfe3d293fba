package jwt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap/internal/watch"
)

// maxFile is how many octets a file of keys may have.
const maxFile = 1 << 20

// keyFiles are the keys of a file, or of the files in a folder, which are read again when
// they change.
type keyFiles struct {
	path string
	ring *keyring
	log  *slog.Logger
	held map[string][]key // by file, as last read; nil before the first time
}

// watchFiles reads the keys and follows changes until the watcher is closed. An error of
// the first reading is returned. Later ones are logged, and the file keeps the keys that it
// had, until it can be read or is removed.
func watchFiles(path string, ring *keyring, log *slog.Logger) (*watch.Watcher, error) {
	f := &keyFiles{path: path, ring: ring, log: log}
	return watch.Start(path, f.load, log)
}

// CheckKeys tells why a file of keys, or a folder of them, cannot be used.
func CheckKeys(path string) error {
	f := &keyFiles{path: path, ring: newKeyring(), log: slog.New(slog.DiscardHandler)}
	return f.load()
}

func (f *keyFiles) load() error {
	files, err := f.list()
	if err != nil {
		return err
	}
	held := make(map[string][]key, len(files))
	var all []key
	for _, file := range files {
		keys, err := readKeys(file)
		switch {
		case err == nil:
			held[file] = keys
		case f.held == nil:
			return err
		case errors.Is(err, fs.ErrNotExist):
		default:
			f.log.Error("key file that cannot be used: its keys stay as they were", "error", err)
			held[file] = f.held[file]
		}
		all = append(all, held[file]...)
	}
	if len(all) > MaxKeys {
		return fmt.Errorf("%s: %d keys, at most %d", f.path, len(all), MaxKeys)
	}
	first := f.held == nil
	f.held = held
	for _, k := range all {
		if secret, ok := k.material.([]byte); ok && len(secret) < 32 {
			f.log.Warn("shared secret shorter than the hash of its algorithm: make it 32 octets or more", "path", f.path, "kid", k.kid, "octets", len(secret))
		}
	}
	if changed := f.ring.set(f.path, all); changed && !first {
		f.log.Info("token keys changed", "path", f.path, "keys", len(all))
		f.ring.changes.Notify()
	}
	return nil
}

// list returns the files that count: those of a folder whose names do not begin with a dot
// or end with "~". A file that is gone holds no keys any more.
func (f *keyFiles) list() ([]string, error) {
	info, err := os.Stat(f.path)
	if err != nil || !info.IsDir() {
		return []string{f.path}, nil
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "~") && !e.IsDir() {
			files = append(files, filepath.Join(f.path, name))
		}
	}
	return files, nil
}

// readKeys reads one file. One that holds a secret must be its owner's alone.
func readKeys(file string) ([]key, error) {
	text, mode, err := readFile(file)
	if err != nil {
		return nil, err
	}
	name := kidOf(file)
	keys, secret, err := parseFile(name, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if secret && mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, &certs.PermissionError{File: file, Mode: mode}
	}
	return keys, nil
}

func readFile(file string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: more than %d octets", file, maxFile)
	}
	return text, info.Mode().Perm(), err
}
