package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// positionInterval is the shortest time between two writes of a position.
const positionInterval = time.Second

// positionFile keeps a position in a file, which is replaced at most once per second and at the
// end.
type positionFile struct {
	path string

	mu    sync.Mutex
	at    string
	dirty bool
	timer *time.Timer // of the next write; nil if none is due
	err   error       // of the last write
}

// readPosition returns the position in a file; empty without the file.
func readPosition(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// set makes at the position, which is written soon.
func (p *positionFile) set(at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.dirty = at, true
	if p.timer == nil {
		p.timer = time.AfterFunc(positionInterval, p.due)
	}
}

func (p *positionFile) due() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	p.write()
}

// failed returns the error of the last write.
func (p *positionFile) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// close writes the position if the file does not have it.
func (p *positionFile) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.write()
	return p.err
}

// write replaces the file, so that it always holds a whole position. Lock held on entry.
func (p *positionFile) write() {
	if !p.dirty {
		return
	}
	p.dirty = false
	if err := replaceFile(p.path, p.at+"\n"); err != nil {
		p.err = fmt.Errorf("--position-file: %w", err)
	}
}

func replaceFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
