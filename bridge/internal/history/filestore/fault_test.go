package filestore

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// disk is a file system with little room.
type disk struct {
	mu         sync.Mutex
	room       int
	syncErr    error
	noTruncate bool
}

func (d *disk) set(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = room
}

func (d *disk) create(name string, flag int) (file, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	return &diskFile{f, d}, err
}

type diskFile struct {
	*os.File
	d *disk
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if len(p) <= f.d.room {
		f.d.room -= len(p)
		return f.File.Write(p)
	}
	n, _ := f.File.Write(p[:f.d.room])
	f.d.room = 0
	return n, syscall.ENOSPC
}

func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.syncErr; err != nil {
		f.d.syncErr = nil
		return err
	}
	return nil
}

func (f *diskFile) Truncate(size int64) error {
	if f.d.noTruncate {
		return syscall.EIO
	}
	return f.File.Truncate(size)
}

// TestDiskFull fills the disk: the log goes on without storing, says so, and records a gap when it
// works again. Who resumes is not told that what it did not store is recovered: then, afterwards, or after
// a restart.
func TestDiskFull(t *testing.T) {
	for _, sync := range []time.Duration{0, time.Second} {
		for room := 0; room < 120; room += 7 {
			synctest.Test(t, func(t *testing.T) {
				d := &disk{room: 1 << 20}
				dir := t.TempDir()
				var states []history.State
				o := history.Options{LastValues: true, OnState: func(s history.State) { states = append(states, s) }}
				l := openLog(t, dir, o, Options{Sync: sync, create: d.create})
				at := l.End()
				publish(t, l, "a", "1")
				d.set(room)
				failed := false
				for range 10 {
					l.Append(zmtp.Message{[]byte("b"), []byte("2")})
					if err := l.Flush(); errors.Is(err, syscall.ENOSPC) {
						failed = true
					} else if err != nil {
						t.Fatal(err)
					}
					if failed && len(states) != 1 {
						t.Fatalf("states: %v", states)
					}
				}
				s := l.State()
				if !failed || !errors.Is(s.Err, syscall.ENOSPC) || s.Since.IsZero() || s.Missed == 0 {
					t.Fatalf("failed: %v, state %+v", failed, s)
				}
				missed, other := l.End(), history.NewMatch([][]byte{[]byte("a"), []byte("c")}, nil)
				if _, answer := resume(l, at); answer.Recovered {
					t.Fatalf("%+v while the disk is full", answer)
				}
				if _, answer := l.Resume(at, other); !answer.Recovered {
					t.Fatalf("%+v of other topics while the disk is full", answer)
				}
				time.Sleep(2 * time.Second)
				d.set(1 << 20)
				if err := l.Flush(); err != nil || l.State().Err != nil || len(states) != 2 {
					t.Fatalf("%v, state %+v, states %v", err, l.State(), states)
				}
				publish(t, l, "c", "3")
				for _, l := range []*history.Log{l, openLog(t, copyDir(t, dir), o, Options{})} {
					for _, from := range []history.Position{at, missed} {
						got, answer := resume(l, from)
						if answer.Recovered || !answer.Gap || got[len(got)-1] != "c 3" || from == at && got[0] != "a 1" {
							t.Fatalf("%+v, %q", answer, got)
						}
						// A backend that was away meanwhile is not recorded.
						if _, answer := l.Resume(from, other); !answer.Recovered || !answer.Gap {
							t.Fatalf("%+v of other topics", answer)
						}
					}
				}
			})
		}
	}
}

// TestTruncateFails cannot remove half a batch at once: nothing is written behind it.
func TestTruncateFails(t *testing.T) {
	d := &disk{room: 1 << 20}
	dir := t.TempDir()
	s, err := Open(dir, Options{create: d.create})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	write := func(first uint64) error { return s.Write(history.Batch{First: first, Count: 1, Data: []byte("data")}) }
	if err := write(1); err != nil {
		t.Fatal(err)
	}
	d.noTruncate = true
	d.set(10)
	if err := write(2); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	d.set(1 << 20)
	if err := write(2); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	d.noTruncate = false
	if err := write(3); err != nil {
		t.Fatal(err)
	}
	again, err := Open(copyDir(t, dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	var got []uint64
	if err := again.Load(nil, func(b history.Batch) error { got = append(got, b.First); return nil }); err != nil || !slices.Equal(got, []uint64{1, 3}) {
		t.Fatalf("%v, %d", err, got)
	}
}

// TestDiskFullAtStart opens a log when the disk is full already.
func TestDiskFullAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := openLog(t, dir, history.Options{}, Options{})
		publish(t, l, "a", "1")
		l.Close()
		d := &disk{}
		l = openLog(t, dir, history.Options{}, Options{create: d.create})
		at := l.End()
		if s := l.State(); !errors.Is(s.Err, syscall.ENOSPC) {
			t.Fatalf("%+v", s)
		}
		l.Append(zmtp.Message{[]byte("b"), []byte("2")})
		d.set(1 << 20)
		time.Sleep(2 * time.Second)
		publish(t, l, "c", "3") // the store is tried again after it
		if s := l.State(); s.Err != nil || s.Missed != 2 {
			t.Fatalf("%+v", s)
		}
		publish(t, l, "d", "4")
		l.Close()
		l = openLog(t, dir, history.Options{}, Options{})
		got, answer := resume(l, at)
		if wantLines(t, "resumed", got, []string{"d 4"}); answer.Recovered || !answer.Gap {
			t.Fatalf("%+v", answer)
		}
	})
}

// TestFiles checks that segments that are full do not stay open.
func TestFiles(t *testing.T) {
	for _, sync := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s, err := Open(t.TempDir(), Options{Sync: sync, SegmentBytes: 100})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i := range 50 {
				if err := s.Write(history.Batch{First: uint64(1 + i), Count: 1, Data: make([]byte, 60)}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Second)
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.segments) != 50 || len(s.rotated) > 0 || s.synced != 51 {
				t.Errorf("%d segments, %d open, synced to %d", len(s.segments), len(s.rotated), s.synced)
			}
		})
	}
}

// TestSyncFails lets a sync in the background fail: the next write says so.
func TestSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: 1 << 20}
		l := openLog(t, t.TempDir(), history.Options{}, Options{Sync: time.Second, create: d.create})
		publish(t, l, "a", "1")
		d.mu.Lock()
		d.syncErr = syscall.EIO
		d.mu.Unlock()
		time.Sleep(3 * time.Second)
		l.Append(zmtp.Message{[]byte("b"), []byte("2")})
		if err := l.Flush(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("got %v, want EIO", err)
		}
		time.Sleep(2 * time.Second)
		if err := l.Flush(); err != nil || l.State().Err != nil {
			t.Fatalf("%v, %+v", err, l.State())
		}
		publish(t, l, "c", "3")
	})
}

// TestUnwritable opens stores where nothing can be written, without the rights of root.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "file", "store"), Options{}); err == nil {
		t.Fatal("a file was used as a directory")
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has file rights for each thread")
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // until the goroutine ends, and the thread with it
		withoutRoot()
		_, err := Open(dir, Options{})
		result <- err
	}()
	if err := <-result; !errors.Is(err, os.ErrPermission) {
		t.Fatalf("got %v, want that it is not permitted", err)
	}
}
