package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// carryFile is the file "carry": pieces of a history.Carrier, as batches without count. A batch
// with count 1 and no data ends what was carried when the segments before its sequence were about
// to be deleted; what is behind the last such batch does not count.
type carryFile struct {
	f       file
	size    int64
	through uint64 // all segments before this sequence can be deleted
	void    bool   // has something that must not come back
}

func (c *carryFile) close() error {
	if c.f == nil {
		return nil
	}
	return c.f.Close()
}

// loadCarry calls f for the pieces that count.
func (s *Store) loadCarry(f func(piece []byte) error) error {
	name := filepath.Join(s.dir, "carry")
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	h, other, ok := parseHeader(data)
	switch {
	case other != 0:
		return &VersionError{name, int(other)}
	case !ok || h.kind != kindCarry:
		return &DamagedError{name, 0, "no header"}
	}
	var pieces [][]byte
	complete, size := 0, headerSize
	for at := headerSize; ; {
		b, n, ok := parseBatch(data[at:])
		if !ok {
			break
		}
		at += n
		if b.Count == 0 {
			pieces = append(pieces, b.Data)
			continue
		}
		complete, size, s.carry.through = len(pieces), at, b.First
	}
	for _, p := range pieces[:complete] {
		if err := f(p); err != nil {
			return &DamagedError{name, headerSize, err.Error()}
		}
	}
	// If what is cut off were needed, the segments that it was taken from would be missing.
	if s.carry.f, err = s.o.create(name, os.O_WRONLY|os.O_APPEND); err != nil {
		return err
	}
	s.carry.size = int64(size)
	return s.carry.f.Truncate(s.carry.size)
}

// Trim implements history.Store.
func (s *Store) Trim(first uint64, c history.Carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = first
	if s.cleaning || s.closed || s.deletable() == 0 || time.Now().Before(s.cleanAfter) {
		return
	}
	s.cleaning = true
	s.jobs.Add(1)
	go s.clean(c)
}

// deletable returns how many segments have only records that the log has dropped. Lock held on
// entry.
func (s *Store) deletable() int {
	n := 0
	for n+1 < len(s.segments) && s.segments[n+1].first <= s.first {
		n++
	}
	return n
}

// retryClean is how long nothing is deleted after an error.
const retryClean = 5 * time.Second

// clean deletes segments until there is nothing more to delete.
func (s *Store) clean(c history.Carrier) {
	defer s.jobs.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.cleaning = false }()
	for n := s.deletable(); n > 0; n = s.deletable() {
		gone, before := s.segments[:n:n], s.segments[n].first
		s.mu.Unlock()
		deleted, err := s.delete(gone, before, c)
		if err != nil && s.o.OnError != nil {
			s.o.OnError(fmt.Errorf("delete what is too old: %w", err))
		}
		s.mu.Lock()
		s.segments = append([]segment(nil), s.segments[deleted:]...)
		if err != nil {
			s.cleanAfter = time.Now().Add(retryClean)
			return
		}
	}
}

// delete deletes the segments gone, which have the records before that sequence, and returns how
// many it has deleted.
func (s *Store) delete(gone []segment, before uint64, c history.Carrier) (deleted int, err error) {
	if err := s.carryOver(before, c); err != nil {
		return 0, err
	}
	for deleted < len(gone) {
		if err := os.Remove(gone[deleted].name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return deleted, err
		}
		deleted++
	}
	return deleted, nil
}

// spareCarry is how much of the carry file can be out of date.
const spareCarry = 1 << 20

// carryOver makes what outlives the segments before that sequence durable: as an addition to the
// carry file, or as a new one if too much of the old one does not count any more.
func (s *Store) carryOver(before uint64, c history.Carrier) error {
	live, void := c.Carried()
	s.carry.void = s.carry.void || void
	if s.carry.f == nil || s.carry.void || s.carry.size > 2*live+spareCarry {
		return s.rewriteCarry(before, c)
	}
	size, err := writeCarry(s.carry.f, s.carry.through, before, c)
	if err != nil {
		return errors.Join(err, s.carry.f.Truncate(s.carry.size))
	}
	s.carry.size += size
	s.carry.through = before
	return nil
}

// rewriteCarry replaces the carry file.
func (s *Store) rewriteCarry(before uint64, c history.Carrier) error {
	name := filepath.Join(s.dir, "carry")
	f, err := s.o.create(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND)
	if err != nil {
		return err
	}
	h := header{kind: kindCarry, boot: s.boot, first: before}
	size := int64(0)
	if _, err = f.Write(h.append(nil)); err == nil {
		size, err = writeCarry(f, 0, before, c)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(name + ".tmp")
		return err
	}
	// Not every system renames open files. Without a file, the next time writes a new one.
	s.carry.close()
	s.carry.f = nil
	if err := os.Rename(name+".tmp", name); err != nil {
		return err
	}
	if f, err = s.o.create(name, os.O_WRONLY|os.O_APPEND); err != nil {
		return err
	}
	s.carry = carryFile{f: f, size: headerSize + size, through: before}
	return syncDir(s.dir)
}

// writeCarry writes what c carries to f, and syncs it.
func writeCarry(f file, since, before uint64, c history.Carrier) (size int64, err error) {
	var buffer bytes.Buffer
	write := func(b history.Batch) error {
		buffer.Reset()
		buffer.Write(appendBatch(buffer.AvailableBuffer(), b))
		size += int64(buffer.Len())
		_, err := f.Write(buffer.Bytes())
		return err
	}
	err = c.Carry(since, before, func(piece []byte) error { return write(history.Batch{First: before, Data: piece}) })
	if err == nil {
		err = write(history.Batch{First: before, Count: 1})
	}
	if err == nil {
		err = f.Sync()
	}
	return size, err
}
