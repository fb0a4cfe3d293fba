package filestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var all = history.NewMatch([][]byte{{}}, nil)

func options(o history.Options) history.Options {
	if o.Topics == nil {
		o.Topics = [][]byte{{}}
	}
	return o
}

// openLog opens the log in dir. The test closes it at its end, if it has not done so.
func openLog(t *testing.T, dir string, o history.Options, so Options) *history.Log {
	t.Helper()
	l, err := tryLog(dir, o, so)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func tryLog(dir string, o history.Options, so Options) (*history.Log, error) {
	s, err := Open(dir, so)
	if err != nil {
		return nil, err
	}
	o = options(o)
	o.Store = s
	return history.New(o)
}

func publish(t *testing.T, l *history.Log, topic, payload string) {
	t.Helper()
	l.Append(zmtp.Message{[]byte(topic), []byte(payload)})
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
}

// text returns messages as "topic payload".
func text(entries []history.Entry) (lines []string) {
	for _, e := range entries {
		f := e.Frames(nil)
		lines = append(lines, fmt.Sprintf("%s %s", f[0], f[1]))
	}
	return lines
}

// resume reads everything from at on.
func resume(l *history.Log, at history.Position) ([]string, history.Resumed) {
	r, answer := l.Resume(at, all)
	var entries []history.Entry
	for more := true; more; {
		entries, more = r.Next(entries, 1<<20)
	}
	return text(entries), answer
}

func last(l *history.Log) []string {
	s := l.Last(all, l.End())
	var entries []history.Entry
	for more := true; more; {
		entries, more = s.Next(entries, 1<<20)
	}
	return text(entries)
}

func wantLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

// copyDir returns a copy of a store: what a new process finds if this one is killed now.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestRestart closes and opens a log: positions stay valid, and the time in between is a gap.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, history.Options{LastValues: true}, Options{})
	publish(t, l, "a", "1")
	at := l.End()
	publish(t, l, "b", "2")
	publish(t, l, "a", "3")
	end := l.End()
	if _, answer := resume(l, at); answer.Gap || !answer.Recovered || l.Restored() {
		t.Fatalf("before the restart: %+v, restored: %v", answer, l.Restored())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, dir, history.Options{LastValues: true}, Options{})
	if l.End().Generation == end.Generation || l.End().Sequence <= end.Sequence {
		t.Fatalf("the end is %v, which has to be later than %v, in another generation", l.End(), end)
	}
	got, answer := resume(l, at)
	wantLines(t, "resumed", got, []string{"b 2", "a 3"})
	wantLines(t, "last values", last(l), []string{"a 3", "b 2"})
	if !answer.Recovered || !answer.Gap || !l.Restored() {
		t.Fatalf("after the restart: %+v, restored: %v", answer, l.Restored())
	}
	// A position behind what was stored: a client has seen messages that a loss of power took.
	beyond := end
	beyond.Sequence++
	if got, answer := resume(l, beyond); answer.Recovered || len(got) > 0 {
		t.Fatalf("beyond the end of its generation: %+v, %q", answer, got)
	}
	publish(t, l, "c", "4")
	if got, answer := resume(l, end); !answer.Recovered || !answer.Gap || !slices.Equal(got, []string{"c 4"}) {
		t.Fatalf("at the end of its generation: %+v, %q", answer, got)
	}
}

// TestTornTail cuts the last batch after each of its bytes, and fills the rest with zeros.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, history.Options{}, Options{Sync: time.Hour})
	at := l.End()
	publish(t, l, "a", "1")
	name := segments(t, dir)[0]
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	l.Append(zmtp.Message{[]byte("b"), []byte("2")})
	l.Append(zmtp.Message{[]byte("c"), []byte("3")})
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := len(before); n < len(after); n++ {
		for _, tail := range []int{0, len(after) - n, 4096} {
			cut := t.TempDir()
			data := append(slices.Clone(after[:n]), make([]byte, tail)...)
			if err := os.WriteFile(filepath.Join(cut, filepath.Base(name)), data, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				l := openLog(t, cut, history.Options{}, Options{})
				got, answer := resume(l, at)
				if wantLines(t, "resumed", got, []string{"a 1"}); !answer.Recovered || !answer.Gap {
					t.Fatalf("%d bytes: %+v", n, answer)
				}
				l.Close()
			}
		}
	}
}

// fill publishes until dir has n segments, and returns what it has published.
func fill(t *testing.T, l *history.Log, dir string, n int) (lines []string) {
	t.Helper()
	for i := 0; len(segments(t, dir)) < n; i++ {
		payload := fmt.Sprint(i, strings.Repeat("x", 50))
		publish(t, l, "t", payload)
		lines = append(lines, "t "+payload)
	}
	return lines
}

// TestDamage changes files in ways that no crash does.
func TestDamage(t *testing.T) {
	write := func(name string, data []byte) error { return os.WriteFile(name, data, 0o600) }
	for _, c := range []struct {
		name string
		do   func(names []string, data []byte) error
		want string
	}{
		{"a byte in the first segment", func(names []string, data []byte) error {
			data[headerSize+batchHeader+3] ^= 1
			return write(names[0], data)
		}, "is damaged at byte 45 (a batch does not have its checksum)"},
		{"the end of the first segment", func(names []string, data []byte) error {
			return write(names[0], data[:len(data)-1])
		}, "does not have its checksum"},
		{"a byte in the last segment", func(names []string, _ []byte) error {
			last := names[len(names)-1]
			data, err := os.ReadFile(last)
			if err != nil {
				return err
			}
			data[headerSize+batchHeader+3] ^= 1
			return write(last, append(data, appendBatch(nil, history.Batch{First: 1000, Count: 1})...))
		}, "does not have its checksum"},
		{"a header", func(names []string, data []byte) error {
			data[20] ^= 1
			return write(names[0], data)
		}, "(no header)"},
		{"another version", func(names []string, data []byte) error {
			data[7] = 2
			return write(names[0], data)
		}, "has version 2, want 1"},
		{"a missing segment", func(names []string, data []byte) error { return os.Remove(names[0]) }, "files of earlier messages are missing"},
		{"another segment's content", func(names []string, data []byte) error { return write(names[1], data) }, "header is that of another file"},
		{"a batch twice", func(names []string, data []byte) error {
			return write(names[0], append(data, data[headerSize:]...))
		}, "a batch is out of order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l := openLog(t, dir, history.Options{}, Options{Sync: time.Hour, SegmentBytes: 500})
			fill(t, l, dir, 3)
			l.Close()
			names := segments(t, dir)
			data, err := os.ReadFile(names[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := c.do(names, data); err != nil {
				t.Fatal(err)
			}
			_, err = tryLog(dir, history.Options{}, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "move its directory away") {
				t.Fatalf("got %v, want an error with %q and with what to do", err, c.want)
			}
			var damaged *DamagedError
			var other *VersionError
			if !errors.As(err, &damaged) && !errors.As(err, &other) {
				t.Fatalf("%T", err)
			}
			if len(segments(t, dir)) < 2 {
				t.Fatal("segments were deleted")
			}
		})
	}
}

// TestPowerLoss damages what was not synced. After a restart of the system the log ends there, in
// the same uptime it is damage.
func TestPowerLoss(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(names []string, data []byte) error // of the second segment
	}{
		{"zeros", func(names []string, data []byte) error {
			clear(data[headerSize+100 : headerSize+200])
			return os.WriteFile(names[1], data, 0o600)
		}},
		{"no header", func(names []string, data []byte) error { return os.Truncate(names[1], 3) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l := openLog(t, dir, history.Options{}, Options{Sync: time.Hour, SegmentBytes: 500})
			at := l.End()
			want := fill(t, l, dir, 4)
			lost := l.End()
			dir = copyDir(t, dir)
			names := segments(t, dir)
			data, err := os.ReadFile(names[1])
			if err != nil {
				t.Fatal(err)
			}
			if err := c.do(names, data); err != nil {
				t.Fatal(err)
			}
			var damaged *DamagedError
			if _, err := tryLog(copyDir(t, dir), history.Options{}, Options{}); !errors.As(err, &damaged) {
				t.Fatalf("got %v, want a *DamagedError", err)
			}
			for _, name := range names {
				reboot(t, name)
			}
			l = openLog(t, dir, history.Options{}, Options{})
			got, answer := resume(l, at)
			if !answer.Recovered || len(got) < 3 || len(got) > len(want)/2 {
				t.Fatalf("%+v, %d messages of %d", answer, len(got), len(want))
			}
			wantLines(t, "resumed", got, want[:len(got)])
			if _, answer := resume(l, lost); answer.Recovered {
				t.Fatal("a client that has seen what is lost has recovered")
			}
		})
	}
}

// TestSyncedDamage damages what was synced: that is not a loss of power.
func TestSyncedDamage(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, history.Options{}, Options{SegmentBytes: 500})
	fill(t, l, dir, 3)
	l.Close()
	names := segments(t, dir)
	data, err := os.ReadFile(names[1])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(names[1], data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		reboot(t, name)
	}
	var damaged *DamagedError
	if _, err := tryLog(dir, history.Options{}, Options{}); !errors.As(err, &damaged) {
		t.Fatalf("got %v, want a *DamagedError", err)
	}
}

// reboot makes a file one of an earlier uptime of the system.
func reboot(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	h, _, ok := parseHeader(data)
	if !ok {
		return
	}
	h.boot[0]++
	if err := os.WriteFile(name, append(h.append(nil), data[headerSize:]...), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, history.Options{}, Options{})
	var locked *LockedError
	if _, err := Open(dir, Options{}); !errors.As(err, &locked) {
		t.Fatalf("got %v, want a *LockedError", err)
	}
	l.Close()
	openLog(t, dir, history.Options{}, Options{})
}

func TestDirName(t *testing.T) {
	seen := map[string]string{}
	for _, path := range []string{"/", "/devices", "/Devices", "/devices/", "/a/../b", "/a-b", "/a/b", "/" + strings.Repeat("x", 300), "/%2e", "/日本", "/CON", `/a\b:c`} {
		name := strings.ToLower(DirName(path))
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q have the same name %q", path, other, name)
		}
		seen[name] = path
		if name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", r) }) {
			t.Errorf("%q has the name %q", path, name)
		}
	}
}
