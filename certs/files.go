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

// settle is the time without further changes after which the files are read again. A
// renewal writes both of them.
const settle = 100 * time.Millisecond

// FilesOptions are the options of [Files].
type FilesOptions struct {
	Cert string // file with the certificate chain in PEM, the server's certificate first
	Key  string // file with the private key in PEM, mode 0600 or 0640
	// Private decides which modes the key file can have; its zero value is strict.
	Private Private
	// Log receives reloads and their errors; nil means slog.Default.
	Log *slog.Logger
}

// FileCertificate is a certificate in files that another program renews. It reads them
// again when they change. While they are invalid, the last valid pair stays in use. It is
// safe for concurrent use.
type FileCertificate struct {
	o       FilesOptions
	current atomic.Pointer[tls.Certificate]
	watcher *fsnotify.Watcher
	done    chan struct{} // closed when the goroutine of watch has ended

	// Only used by Files and then by the goroutine of watch.
	cert, key []byte // contents of the files when they were last valid
	lastError string // of the last read
}

// Files reads a certificate and its key and watches the files until Close. It refuses a key
// file that other users can access (*[PermissionError]).
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
	// A renewal may replace the files, or a symbolic link on their path.
	for _, file := range []string{o.Cert, o.Key} {
		if err := watcher.Add(filepath.Dir(file)); err != nil {
			return nil, errors.Join(err, watcher.Close())
		}
	}
	f.watcher = watcher
	go f.watch()
	return f, nil
}

// Config returns a TLS configuration that uses the last valid pair. It can be called several
// times, and the configuration can be used after Close.
func (f *FileCertificate) Config() *tls.Config {
	return serverConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return f.current.Load(), nil
	})
}

// Close stops watching. It may be called more than once.
func (f *FileCertificate) Close() error {
	err := f.watcher.Close()
	<-f.done
	return err
}

func (f *FileCertificate) watch() {
	defer close(f.done)
	rest := time.NewTimer(settle) // for a change between the first read and the start of the watch
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
			f.o.Log.Warn("cannot watch the TLS certificate", "error", err)
			rest.Reset(settle) // events may have been lost
		case <-rest.C:
			f.reload()
		}
	}
}

// reload reads the files again and logs the result if it differs from the last one.
func (f *FileCertificate) reload() {
	changed, err := f.read()
	switch {
	case err != nil && err.Error() != f.lastError:
		f.lastError = err.Error()
		f.o.Log.Error("TLS certificate not reloaded, the current one stays in use", "error", err)
	case err == nil && (changed || f.lastError != ""):
		f.lastError = ""
		f.o.Log.Info("TLS certificate reloaded", "file", f.o.Cert, "until", f.current.Load().Leaf.NotAfter)
	}
}

// read puts the pair in use if it is valid, and reports whether it has changed.
func (f *FileCertificate) read() (changed bool, err error) {
	cert, key, err := f.o.Private.readPair(f.o.Cert, f.o.Key)
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
