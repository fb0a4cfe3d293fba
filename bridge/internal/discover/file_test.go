package discover

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const aKey = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

func tcpOnly(e string) (string, error) {
	if !strings.HasPrefix(e, "tcp://") {
		return "", errors.New("want tcp://")
	}
	return e, nil
}

// TestFileParse: everything that is not a list of endpoints is refused, with its place.
func TestFileParse(t *testing.T) {
	for _, c := range []struct {
		text  string
		curve bool
		want  []string
		err   string
	}{
		{text: `[]`, want: []string{}},
		{text: `["tcp://b:1", {"endpoint": "tcp://a:1"}, "tcp://b:1"]`, want: []string{"tcp://a:1", "tcp://b:1"}},
		{text: `[{"endpoint": "tcp://b:1", "server_key": "` + aKey + `"}]`, curve: true, want: []string{"tcp://b:1"}},
		{text: `[{"endpoint": "tcp://b:1", "server_key": "` + aKey + `"}]`, err: `entry 1: has a server_key, and the route's mechanism is not "CURVE"`},
		{text: `[{"endpoint": "tcp://b:1", "server_key": "short"}]`, curve: true, err: "entry 1: server_key is not a CURVE public key"},
		{text: `["tcp://b:1"]`, curve: true, err: "entry 1: has no server_key"},
		{text: `["tcp://a:1", "udp://b:1"]`, err: "entry 2: want tcp://"},
		{text: `["tcp://a:1", 5]`, err: "want a list of endpoints"},
		{text: `[null]`, err: "want a list of endpoints"},
		{text: `{"endpoint": "tcp://a:1"}`, err: "the file is JSON of type object: want a list of endpoints"},
		{text: `[{"endpoint": 5}]`, err: "endpoint is JSON of type number: want a list of endpoints"},
		{text: `[["tcp://a:1"]]`, err: "want a list of endpoints"},
		{text: `[{"endpoint": "tcp://a:1", "key": ""}]`, err: `unknown field "key"`},
		{text: `null`, err: "is null"},
		{text: ``, err: "unexpected end"},
		{text: `[] []`, err: "after top-level value"},
	} {
		f := &file{FileOptions{Endpoint: tcpOnly, NeedsKey: c.curve, TakesKey: c.curve}}
		got, err := f.parse([]byte(c.text))
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: error %v, want one with %q", c.text, err, c.err)
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", c.text, err)
		case c.err == "":
			if diff := cmp.Diff(c.want, addresses(got)); diff != "" {
				t.Errorf("%s: %s", c.text, diff)
			}
			if c.curve && got[0].ServerKey == ([32]byte{}) {
				t.Errorf("%s: no key", c.text)
			}
		}
	}
}

// follow runs a source until the test ends.
func follow(t *testing.T, s Source) <-chan Report {
	ctx, cancel := context.WithCancel(t.Context())
	reports, done := make(chan Report, 100), make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx, func(r Report) { reports <- r })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return reports
}

func next(t *testing.T, reports <-chan Report) string {
	t.Helper()
	select {
	case r := <-reports:
		if r.Err != nil {
			return "error: " + r.Err.Error()
		}
		return strings.Join(addresses(r.Endpoints), " ")
	case <-time.After(20 * time.Second):
		t.Fatal("no report")
		return ""
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFileWatched: written in place, renamed over, broken, removed and back.
func TestFileWatched(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "backends.json")
	write(t, path, `["tcp://a:1"]`)
	reports := follow(t, NewFile(FileOptions{Path: path, Endpoint: tcpOnly, Log: slog.New(slog.DiscardHandler)}))
	expect := func(want string) {
		t.Helper()
		if got := next(t, reports); !strings.HasPrefix(got, want) {
			t.Fatalf("reported %q, want %q", got, want)
		}
	}
	expect("tcp://a:1")
	write(t, path, `["tcp://a:1", "tcp://b:1"]`)
	expect("tcp://a:1 tcp://b:1")
	write(t, path+".new", `["tcp://c:1"]`)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	expect("tcp://c:1")
	write(t, path, `["tcp://c:1"`)
	expect("error: " + path + ": unexpected end of JSON input")
	write(t, path, `[]`)
	expect("")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("error: open " + path)
	write(t, path, strings.Repeat(" ", maxFile)+`[]`)
	expect("error: " + path + ": more than 1048576 bytes")
	write(t, path, `["tcp://d:1"]`)
	expect("tcp://d:1")
}

// TestFileLink: the way Kubernetes updates a ConfigMap: the file is a link into ..data, a link to
// a directory that is replaced by renaming another link over it.
func TestFileLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "backends.json")
	deploy := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "backends.json"), text)
		temporary := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(version, temporary); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	deploy("..1", `["tcp://a:1"]`)
	if err := os.Symlink(filepath.Join("..data", "backends.json"), path); err != nil {
		t.Fatal(err)
	}
	reports := follow(t, NewFile(FileOptions{Path: path, Endpoint: tcpOnly, Log: slog.New(slog.DiscardHandler)}))
	if got := next(t, reports); got != "tcp://a:1" {
		t.Fatalf("reported %q", got)
	}
	for _, version := range []string{"..2", "..3"} {
		deploy(version, `["tcp://`+strings.TrimLeft(version, ".")+`:1"]`)
		if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
			t.Fatal(err)
		}
		if got := next(t, reports); got != "tcp://"+strings.TrimLeft(version, ".")+":1" {
			t.Fatalf("reported %q", got)
		}
	}
}

// TestFileLater: neither the file nor its directory need exist when the bridge starts.
func TestFileLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	path := filepath.Join(dir, "sub", "backends.json")
	reports := follow(t, NewFile(FileOptions{Path: path, Endpoint: tcpOnly, Log: slog.New(slog.DiscardHandler)}))
	if got := next(t, reports); !strings.HasPrefix(got, "error: open ") {
		t.Fatalf("reported %q", got)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, path, `["tcp://a:1"]`)
	if got := next(t, reports); got != "tcp://a:1" {
		t.Fatalf("reported %q", got)
	}
}

// FuzzFile: whatever is in the file, it is an error or a bounded list of endpoints that were
// checked.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{`[]`, `["tcp://b:1", {"endpoint": "tcp://a:1"}]`, `[{"endpoint": "tcp://b:1", "server_key": "` + aKey + `"}]`, `[[[`, `[null]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := (&file{FileOptions{Endpoint: tcpOnly, TakesKey: true}}).parse(text)
		if err != nil {
			return
		}
		for i, e := range got {
			if !strings.HasPrefix(e.Address, "tcp://") || i > 0 && got[i-1].Address >= e.Address {
				t.Errorf("%q", addresses(got))
			}
		}
	})
}
