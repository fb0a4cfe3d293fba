// Package watch calls a function when a file, or what is in a folder, may have changed.
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

// A change is acted on when the folder has been quiet for settle, so that a file is not
// read while it is written, and at the latest delay after the first event.
const (
	settle = 100 * time.Millisecond
	delay  = 2 * time.Second
)

// Watcher watches one path until Close.
//
// The system watches folders, not names: so that it notices a file that is renamed over
// the watched one, and a folder that is replaced by another of the same name, it watches
// the folder of the path and the one above, and the same two of what the path leads to if
// symbolic links are on it (which is how Kubernetes changes files: by another link).
type Watcher struct {
	path   string
	load   func() error
	log    *slog.Logger
	fs     *fsnotify.Watcher
	folder bool // path is a folder
	linked bool // a symbolic link is on the path
	ended  chan struct{}
}

// Start watches path, calls load, and if that succeeds calls it again after every change,
// from one goroutine, until Close. Changes that come during a call lead to another. An
// error of the first call is returned; those of later ones are logged, and it is load's
// part to keep what it had. Nil log means slog.Default().
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

// Close ends the watch; no call of load is under way when it returns. It must not be
// called from load.
func (w *Watcher) Close() error {
	err := w.fs.Close()
	<-w.ended
	return err
}

// place puts a watch on every folder that matters, anew: a watch stays with the folder
// that it was put on, whatever that is called by now.
func (w *Watcher) place() error {
	for _, folder := range w.fs.WatchList() {
		w.fs.Remove(folder) // an error means that it has gone with its folder
	}
	real, err := filepath.EvalSymlinks(w.path)
	if err != nil {
		real = w.path
	}
	info, err := os.Stat(real)
	w.folder = err == nil && info.IsDir()
	w.linked = real != w.path

	var failed error
	watched := 0
	for _, path := range []string{w.path, real} {
		folder := filepath.Dir(path)
		folders := []string{folder, filepath.Dir(folder)}
		if w.folder {
			folders = []string{path, folder}
		}
		for _, f := range folders {
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

// concerns tells whether an event may be about the path: anything in the folder itself or
// where links are in play, else only what bears the name of the path or of its folder.
func (w *Watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod && !w.linked && filepath.Clean(e.Name) != w.path {
		return false
	}
	if w.linked || e.Name == w.path || e.Name == filepath.Dir(w.path) {
		return true
	}
	return w.folder && filepath.Dir(e.Name) == w.path
}

func (w *Watcher) run() {
	defer close(w.ended)
	var due <-chan time.Time // nil while nothing has happened
	var first time.Time      // of the events that have not been acted on
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
				w.log.Error("watching failed", "path", w.path, "error", err)
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
		w.log.Error("changes will not be noticed until restart", "path", w.path, "error", err)
	}
	if err := w.load(); err != nil {
		w.log.Error("changed, but cannot be used: what was read before stays in force", "path", w.path, "error", err)
	}
}
