package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long the files must rest after a change before they are read again: a
// renewal writes two of them.
const settle = 100 * time.Millisecond

// FilesOptions say where a certificate and its key are.
type FilesOptions struct {
	Cert string // PEM, the server's certificate first
	Key  string // PEM, mode 0600
	// Log is told about reloads; nil means slog.Default.
	Log *slog.Logger
}

// FileCertificate is a certificate that somebody else writes and renews. Its files are
// read again when they change; while what they hold is broken the last good pair stays in
// use. It is safe for concurrent use.
type FileCertificate struct {
	o       FilesOptions
	current atomic.Pointer[tls.Certificate]
	watcher *fsnotify.Watcher
	done    chan struct{} // closed when the watching goroutine has ended

	cert, key []byte // as last read; the watching goroutine's
	fault     string // what was wrong when last read
}

// Files reads a certificate and its key and watches them until the caller's Close. A key
// file that others may reach is refused (*[PermissionError]). The folders are watched rather
// than the files, because a renewal may replace them or a link on the way.
func Files(o FilesOptions) (*FileCertificate, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	f := &FileCertificate{o: o, done: make(chan struct{})}
	if _, err := f.read(); err != nil {
		return nil, err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	for _, file := range []string{o.Cert, o.Key} {
		if err := watcher.Add(filepath.Dir(file)); err != nil {
			return nil, errors.Join(err, watcher.Close())
		}
	}
	f.watcher = watcher
	go f.watch()
	return f, nil
}

// Config returns a configuration that always uses the last good pair. It may be called
// several times, and the configuration be used after Close.
func (f *FileCertificate) Config() *tls.Config {
	return serverConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return f.current.Load(), nil
	})
}

// Close ends the watching. Closing again does nothing.
func (f *FileCertificate) Close() error {
	err := f.watcher.Close()
	<-f.done
	return err
}

func (f *FileCertificate) watch() {
	defer close(f.done)
	rest := time.NewTimer(settle) // once at the start: for a change before the watch began
	defer rest.Stop()
	for {
		select {
		case _, ok := <-f.watcher.Events:
			if !ok {
				return
			}
			rest.Reset(settle)
		case err, ok := <-f.watcher.Errors:
			if !ok {
				return
			}
			f.o.Log.Warn("watching the TLS certificate", "error", err)
			rest.Reset(settle) // events may have been lost
		case <-rest.C:
			f.reload()
		}
	}
}

// reload reads the files again and says what came of it, once for each change.
func (f *FileCertificate) reload() {
	changed, err := f.read()
	switch {
	case err != nil && err.Error() != f.fault:
		f.fault = err.Error()
		f.o.Log.Error("TLS certificate not reloaded, the old one stays in use", "error", err)
	case err == nil && (changed || f.fault != ""):
		f.fault = ""
		f.o.Log.Info("TLS certificate reloaded", "file", f.o.Cert, "until", f.current.Load().Leaf.NotAfter)
	}
}

// read takes the pair in use if it is good, and tells whether it is another than before.
func (f *FileCertificate) read() (changed bool, err error) {
	cert, key, err := readPair(f.o.Cert, f.o.Key)
	if err != nil {
		return false, err
	}
	if bytes.Equal(cert, f.cert) && bytes.Equal(key, f.key) {
		return false, nil
	}
	pair, err := parsePair(f.o.Cert, f.o.Key, cert, key)
	if err != nil {
		return false, err
	}
	f.cert, f.key = cert, key
	f.current.Store(pair)
	return true, nil
}
