package watch

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A change is acted on when there were no events for settle, so that a file is not read while
// it is being written, but at the latest delay after the first event.
const (
	settle = 100 * time.Millisecond
	delay  = 2 * time.Second
)

// Watcher watches one path until Close.
//
// The operating system watches directories, not names. To notice a file that is renamed over
// the watched one, and a directory that is replaced by another of the same name, a Watcher
// watches the directory of the path and its parent. If there are symbolic links in the path,
// it also watches these two for their target: Kubernetes updates files by replacing a link.
type Watcher struct {
	path   string
	load   func() error
	log    *slog.Logger
	fs     *fsnotify.Watcher
	isDir  bool // path is a directory
	linked bool // a symbolic link is on the path
	ended  chan struct{}
}

// Start watches path, calls load and, if that succeeds, calls it again after every change, from
// one goroutine, until Close. A change during a call leads to another call. An error of the
// first call is returned, later ones are logged: load is expected to keep its previous state.
// A nil log means slog.Default().
func Start(path string, load func() error, log *slog.Logger) (*Watcher, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.Default()
	}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	w := &Watcher{path: path, load: load, log: log, fs: fs, ended: make(chan struct{})}
	if err = w.place(); err == nil {
		err = load()
	}
	if err != nil {
		fs.Close()
		return nil, err
	}
	go w.run()
	return w, nil
}

// Close stops watching. No call of load is running when it returns. It must not be called from
// load.
func (w *Watcher) Close() error {
	err := w.fs.Close()
	<-w.ended
	return err
}

// place watches the directories again: a watch belongs to the directory for which it was made,
// even if that was renamed since.
func (w *Watcher) place() error {
	for _, dir := range w.fs.WatchList() {
		w.fs.Remove(dir) // an error means that the directory is gone
	}
	real, err := filepath.EvalSymlinks(w.path)
	if err != nil {
		real = w.path
	}
	info, err := os.Stat(real)
	w.isDir = err == nil && info.IsDir()
	w.linked = real != w.path

	var failed error
	watched := 0
	for _, path := range []string{w.path, real} {
		parent := filepath.Dir(path)
		dirs := []string{parent, filepath.Dir(parent)}
		if w.isDir {
			dirs = []string{path, parent}
		}
		for _, f := range dirs {
			if err := w.fs.Add(f); err != nil {
				failed = fmt.Errorf("watch %s: %w", f, err)
			} else {
				watched++
			}
		}
	}
	if watched == 0 {
		return failed
	}
	return nil
}

// concerns reports whether an event may concern the path. If there are links, or in the
// directory itself, every event may; otherwise only those for the path or its directory do.
func (w *Watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod && !w.linked && filepath.Clean(e.Name) != w.path {
		return false
	}
	if w.linked || e.Name == w.path || e.Name == filepath.Dir(w.path) {
		return true
	}
	return w.isDir && filepath.Dir(e.Name) == w.path
}

func (w *Watcher) run() {
	defer close(w.ended)
	var due <-chan time.Time // nil without pending events
	var first time.Time      // when the first pending event came
	touched := func() {
		if due == nil {
			first = time.Now()
		}
		due = time.After(min(settle, time.Until(first.Add(delay))))
	}
	for {
		select {
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if w.concerns(e) {
				touched()
			}
		case err, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.log.Error("cannot watch for changes", "path", w.path, "error", err)
			}
			touched() // events may be lost
		case <-due:
			due = nil
			w.reload()
		}
	}
}

func (w *Watcher) reload() {
	if err := w.place(); err != nil {
		w.log.Error("changes will not be noticed until the next restart", "path", w.path, "error", err)
	}
	if err := w.load(); err != nil {
		w.log.Error("invalid change, the previous content stays in force", "path", w.path, "error", err)
	}
}
