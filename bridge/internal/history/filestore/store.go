package filestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// Options configure a store.
type Options struct {
	// Sync is how long, at most, a batch waits to be made durable against a loss of power. 0 does
	// it before Write returns.
	Sync time.Duration
	// SegmentBytes is the size at which a segment ends. 0 means 4 MiB. Deletion is by segment, so
	// it should be a small part of what the log keeps.
	SegmentBytes int64
	// OnError, if not nil, is called with errors of the deletion of old segments, which is tried
	// again later. It must not call the store.
	OnError func(error)

	create func(name string, flag int) (file, error) // replaced by tests; nil: os.OpenFile
}

const defaultSegmentBytes = 4 << 20

// file is an *os.File that is written to.
type file interface {
	io.Writer
	Sync() error
	Truncate(size int64) error
	Close() error
}

// ErrClosed reports that the store is closed.
var ErrClosed = errors.New("the history store is closed")

// Store is the directory of one log. It implements history.Store.
type Store struct {
	dir      string
	o        Options
	boot     [16]byte
	lockFile *os.File

	syncing sync.Mutex     // held by sync; before mu
	jobs    sync.WaitGroup // clean, and the timer's sync

	mu       sync.Mutex
	segments []segment // oldest first; the last is the one that is written to
	f        file      // of that one; nil: the next Write begins a segment
	size     int64     // of its whole batches and the header
	torn     bool      // something incomplete may be behind that
	end      uint64    // sequence after the last batch
	buffer   []byte    // scratch of Write
	rotated  []file    // earlier segments that are to be synced and closed
	newNames bool      // the directory is to be synced
	synced   uint64    // everything before this sequence is durable
	failed   error     // of a sync; the next Write returns it
	timer    *time.Timer
	armed    bool   // timer is running
	first    uint64 // everything before this sequence can be deleted
	cleaning bool   // clean runs
	closed   bool

	cleanAfter time.Time
	carry      carryFile // owned by Load, clean and Close
}

// segment is a file of the log.
type segment struct {
	name  string
	first uint64
}

func segmentName(first uint64) string { return fmt.Sprintf("%016x.log", first) }

// Open opens the store in dir, which is made if it does not exist. The caller calls Load, then
// ends it with Close. Errors: *LockedError, *VersionError, *DamagedError, and those of the file
// system.
func Open(dir string, o Options) (*Store, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.create == nil {
		o.create = func(name string, flag int) (file, error) { return os.OpenFile(name, flag, 0o600) }
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("history directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("history directory must be writable: %w", err)
	}
	taken, err := lock(f)
	if taken || err != nil {
		f.Close()
		if taken {
			return nil, &LockedError{dir}
		}
		return nil, fmt.Errorf("lock history directory %s: %w", dir, err)
	}
	s := &Store{dir: dir, o: o, boot: bootID(), lockFile: f}
	if err := s.list(); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// Write implements history.Store.
func (s *Store) Write(b history.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.failed; err != nil {
		// What was written since the last sync may not be on the disk, and another sync of the
		// same file would not say so.
		s.failed = nil
		s.endSegment()
		return err
	}
	if err := s.ready(b); err != nil {
		return err
	}
	s.buffer = appendBatch(s.buffer[:0], b)
	_, err := s.f.Write(s.buffer)
	if err == nil && s.o.Sync <= 0 {
		err = s.f.Sync()
	}
	if err != nil {
		s.torn = true
		s.cut()
		return err
	}
	s.size += int64(len(s.buffer))
	s.end = b.First + uint64(b.Count)
	if cap(s.buffer) > 4<<20 {
		s.buffer = nil
	}
	if s.o.Sync <= 0 {
		s.synced = s.end
		return nil
	}
	s.arm()
	return nil
}

// ready makes s.f a segment that b can be appended to. Lock held on entry, as in the functions
// below.
func (s *Store) ready(b history.Batch) error {
	if err := s.cut(); err != nil {
		return err
	}
	if s.f != nil && s.size+int64(len(b.Data)) > s.o.SegmentBytes && s.size > headerSize {
		s.endSegment()
	}
	if s.f != nil {
		return nil
	}
	name := filepath.Join(s.dir, segmentName(b.First))
	f, err := s.o.create(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND)
	if err != nil {
		return err
	}
	h := header{kind: kindSegment, boot: s.boot, first: b.First, synced: s.synced}
	_, err = f.Write(h.append(nil))
	if err == nil && s.o.Sync <= 0 {
		if err = f.Sync(); err == nil {
			err = syncDir(s.dir)
		}
	}
	if err != nil {
		f.Close()
		os.Remove(name)
		return err
	}
	s.f, s.size, s.torn, s.newNames = f, headerSize, false, true
	s.segments = append(s.segments, segment{name, b.First})
	return nil
}

// cut removes what an error has left behind the last whole batch.
func (s *Store) cut() error {
	if !s.torn || s.f == nil {
		return nil
	}
	if err := s.f.Truncate(s.size); err != nil {
		return err
	}
	s.torn = false
	return nil
}

// endSegment ends the segment that is written to.
func (s *Store) endSegment() {
	if s.f == nil {
		return
	}
	_ = s.cut() // if that fails, Load finds damage here
	if s.o.Sync > 0 {
		s.rotated = append(s.rotated, s.f)
	} else {
		s.f.Close() // synced already
	}
	s.f = nil
}

// arm starts the timer that syncs, if it does not run.
func (s *Store) arm() {
	if s.armed {
		return
	}
	s.armed = true
	s.jobs.Add(1)
	run := func() {
		defer s.jobs.Done()
		s.sync()
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(s.o.Sync, run)
		return
	}
	s.timer.Reset(s.o.Sync)
}

// sync makes everything that was written durable. Lock not held on entry.
func (s *Store) sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	s.armed = false
	rotated, f, end, newNames := s.rotated, s.f, s.end, s.newNames
	s.rotated, s.newNames = nil, false
	s.mu.Unlock()
	var err error
	for _, f := range rotated {
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if f != nil {
		err = errors.Join(err, f.Sync())
	}
	if newNames {
		err = errors.Join(err, syncDir(s.dir))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed, s.newNames = err, s.newNames || newNames
		return err
	}
	s.synced = max(s.synced, end)
	return nil
}

// Close implements history.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	if s.armed && s.timer.Stop() {
		s.armed = false
		s.jobs.Done()
	}
	s.mu.Unlock()
	s.jobs.Wait()
	err := s.sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f != nil {
		err = errors.Join(err, s.cut(), s.f.Close())
		s.f = nil
	}
	return errors.Join(err, s.carry.close(), s.lockFile.Close())
}
