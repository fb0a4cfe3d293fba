package filestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

var segmentFile = regexp.MustCompile(`^[0-9a-f]{16}\.log$`)

// list finds the segments and removes temporary files.
func (s *Store) list() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("history directory: %w", err)
	}
	for _, e := range entries { // sorted, and so the oldest segment is first
		switch name := filepath.Join(s.dir, e.Name()); {
		case strings.HasSuffix(name, ".tmp"):
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("history directory must be writable: %w", err)
			}
		case segmentFile.MatchString(e.Name()):
			first, err := strconv.ParseUint(e.Name()[:16], 16, 64)
			if err != nil {
				return err
			}
			s.segments = append(s.segments, segment{name, first})
		}
	}
	return nil
}

// Load implements history.Store.
func (s *Store) Load(carried func(piece []byte) error, batch func(history.Batch) error) error {
	if err := s.loadCarry(carried); err != nil {
		return err
	}
	headers, synced, err := s.headers()
	if err != nil {
		return err
	}
	if len(s.segments) > 0 && s.segments[0].first > max(s.carry.through, 1) {
		return &DamagedError{s.segments[0].name, 0, "files of earlier messages are missing"}
	}
	s.end = s.carry.through
	for i := 0; i < len(s.segments); i++ {
		ended, err := s.loadSegment(i, headers[i], synced, batch)
		if err != nil {
			return err
		}
		if ended {
			return s.reopen(headers[i])
		}
	}
	if n := len(s.segments); n > 0 {
		return s.reopen(headers[n-1])
	}
	return nil
}

// headers returns the headers of the segments, and where everything before is known to have been on
// the disk. Segments that were made before a loss of power, and did not get there, are removed.
func (s *Store) headers() (all []header, synced uint64, err error) {
	bad := len(s.segments) // the first one without a header
	for i, g := range s.segments {
		p, err := readStart(g.name)
		if err != nil {
			return nil, 0, err
		}
		h, other, ok := parseHeader(p)
		switch {
		case other != 0:
			return nil, 0, &VersionError{g.name, int(other)}
		case ok && (h.kind != kindSegment || h.first != g.first):
			return nil, 0, &DamagedError{g.name, 0, "the header is that of another file"}
		case !ok:
			bad = min(bad, i)
		}
		all, synced = append(all, h), max(synced, h.synced)
	}
	if bad == len(all) {
		return all, synced, nil
	}
	name := s.segments[bad].name
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, 0, err
	}
	unborn := bad == len(all)-1 && !hasBatch(data)
	if !unborn && (bad == 0 || s.segments[bad].first < synced || !s.rebooted(all[bad-1])) {
		return nil, 0, &DamagedError{name, 0, "no header"}
	}
	return all[:bad], synced, s.dropSegments(bad)
}

// readStart returns the first bytes of a file, as many as a header has.
func readStart(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, headerSize)
	n, err := io.ReadFull(f, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:n], err
}

// rebooted reports whether the system may have been started again since h was written, so that a
// loss of power can be the reason for what is missing.
func (s *Store) rebooted(h header) bool { return h.boot != s.boot || h.boot == [16]byte{} }

// dropSegments removes the segments from, from+1, ….
func (s *Store) dropSegments(from int) error {
	for _, g := range s.segments[from:] {
		if err := os.Remove(g.name); err != nil {
			return err
		}
	}
	s.segments = s.segments[:from]
	return nil
}

// loadSegment calls batch for the batches of segment i. ended reports that the log ends in it, since
// what followed was not completely on the disk when the power was lost, and is removed. synced is
// where everything before is known to have been there.
func (s *Store) loadSegment(i int, h header, synced uint64, batch func(history.Batch) error) (ended bool, err error) {
	g := s.segments[i]
	data, err := os.ReadFile(g.name)
	if err != nil {
		return false, err
	}
	at := headerSize
	for at < len(data) {
		b, size, ok := parseBatch(data[at:])
		if ok && b.First < s.end && b.First+uint64(b.Count) > s.carry.through {
			return false, &DamagedError{g.name, int64(at), "a batch is out of order"}
		}
		if !ok {
			break
		}
		if err := batch(b); err != nil {
			return false, &DamagedError{g.name, int64(at), err.Error()}
		}
		s.end = max(s.end, b.First+uint64(b.Count))
		at += size
	}
	s.size = int64(at)
	if at == len(data) {
		return false, s.settle(g, h)
	}
	last := i == len(s.segments)-1
	if (!last || hasBatch(data[at+1:])) && (!s.rebooted(h) || s.end < synced) {
		return false, &DamagedError{g.name, int64(at), "a batch does not have its checksum"}
	}
	if err := s.dropSegments(i + 1); err != nil {
		return false, err
	}
	if err := os.Truncate(g.name, int64(at)); err != nil {
		return false, err
	}
	return true, s.settle(g, h)
}

// settle makes a segment durable that a process of the same uptime may have left to the system.
func (s *Store) settle(g segment, h header) error {
	if h.boot != s.boot {
		return nil
	}
	f, err := s.o.create(g.name, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// reopen continues the last segment. After a restart of the system a new one begins, since the
// header says when it was made; one without batches is removed.
func (s *Store) reopen(h header) error {
	n := len(s.segments) - 1
	g := s.segments[n]
	if s.size == headerSize {
		s.segments = slices.Delete(s.segments, n, n+1)
		return os.Remove(g.name)
	}
	if h.boot != s.boot {
		return nil
	}
	f, err := s.o.create(g.name, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	s.f = f
	return nil
}
