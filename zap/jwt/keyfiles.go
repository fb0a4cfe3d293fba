package jwt

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/internal/watch"
)

// maxFile is the size of a key file in bytes.
const maxFile = 1 << 20

// keyFiles reads the keys of a file, or of the files in a directory.
type keyFiles struct {
	path string
	ring *keyring
	log  *slog.Logger
	// private decides which modes files with secrets can have.
	private certs.Private
	held    map[string][]key // by file, as last read; nil at first
	ignored []error          // why files of the directory had no keys when first read
}

// watchFiles reads the keys, and again after changes until the watcher is closed. An error at
// first is returned. Later ones are logged, and the file keeps its keys until it is readable
// again or removed.
func watchFiles(path string, private certs.Private, ring *keyring, log *slog.Logger) (*watch.Watcher, error) {
	f := &keyFiles{path: path, ring: ring, log: log, private: private}
	return watch.Start(path, f.load, log)
}

// CheckKeys reads a key file, or a directory of them, as [New] does. ignored are the reasons
// why files in a directory have no keys; err is that for which New fails.
func CheckKeys(path string, private certs.Private) (ignored []error, err error) {
	f := &keyFiles{path: path, private: private, ring: newKeyring(), log: slog.New(slog.DiscardHandler)}
	err = f.load()
	return f.ignored, err
}

func (f *keyFiles) load() error {
	files, err := f.list()
	if err != nil {
		return err
	}
	held := make(map[string][]key, len(files))
	var all []key
	for _, file := range files {
		keys, err := f.readKeys(file)
		switch {
		case err == nil:
			held[file] = keys
		case f.held == nil && stops(err, file == f.path):
			return err
		case f.held == nil:
			f.ignored = append(f.ignored, err)
			f.log.Error("invalid key file", "error", err)
		case errors.Is(err, fs.ErrNotExist):
		default:
			f.log.Error("invalid key file keeps its previous keys", "error", err)
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
			f.log.Warn("shared secret is shorter than the hash of its algorithm: use at least 32 bytes", "path", f.path, "kid", k.kid, "bytes", len(secret))
		}
	}
	if changed := f.ring.set(f.path, all); changed && !first {
		f.log.Info("token keys changed", "path", f.path, "keys", len(all))
		f.ring.changes.Notify()
	}
	return nil
}

// stops reports whether an error of the first read is fatal. A file that is not a key does not
// spoil its directory, but a secret that others can read must not be overlooked.
func stops(err error, alone bool) bool {
	_, readable := errors.AsType[*certs.PermissionError](err)
	return alone || readable
}

// list returns the key files: in a directory those whose names do not begin with a dot or end
// with "~". A file that does not exist is listed too, and has no keys.
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

// readKeys reads one file. The mode of a file with a secret must be acceptable.
func (f *keyFiles) readKeys(file string) ([]key, error) {
	text, info, err := watch.ReadFile(file, maxFile)
	if err != nil {
		return nil, err
	}
	name := kidOf(file)
	parsed, err := parseFile(name, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, reason := range parsed.ignored {
		f.log.Debug("key ignored", "file", file, "error", reason)
	}
	if parsed.secret {
		err = f.private.Check(file, info)
	}
	return parsed.keys, err
}
