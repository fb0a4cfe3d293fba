package watch

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFile changes a file in all the ways that editors and tools do, and waits until the new
// text was read.
func TestFile(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, file string){
		"written in place": func(t *testing.T, file string) {
			must(t, os.WriteFile(file, []byte("new"), 0o600))
		},
		"written in two steps": func(t *testing.T, file string) {
			f, err := os.Create(file)
			must(t, err)
			_, err = f.WriteString("n")
			must(t, err)
			_, err = f.WriteString("ew")
			must(t, err)
			must(t, f.Close())
		},
		"renamed over": func(t *testing.T, file string) {
			must(t, os.WriteFile(file+".tmp", []byte("new"), 0o600))
			must(t, os.Rename(file+".tmp", file))
		},
		"removed and created": func(t *testing.T, file string) {
			must(t, os.Remove(file))
			must(t, os.WriteFile(file, []byte("new"), 0o600))
		},
		"in a directory that is replaced": func(t *testing.T, file string) {
			dir := filepath.Dir(file)
			must(t, os.Mkdir(dir+".new", 0o700))
			must(t, os.WriteFile(filepath.Join(dir+".new", filepath.Base(file)), []byte("new"), 0o600))
			must(t, os.Rename(dir, dir+".old"))
			must(t, os.Rename(dir+".new", dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "directory")
			must(t, os.Mkdir(dir, 0o700))
			file := filepath.Join(dir, "file")
			must(t, os.WriteFile(file, []byte("old"), 0o600))
			texts := make(chan string, 100)
			w, err := Start(file, read(file, texts), nil)
			must(t, err)
			defer w.Close()
			if first := <-texts; first != "old" {
				t.Fatalf("Start read %q", first)
			}
			change(t, file)
			await(texts, "new")
			must(t, os.WriteFile(file, []byte("newer"), 0o600)) // it is still watched
			await(texts, "newer")
		})
	}
}

// read returns a load function that sends the text to a channel.
func read(file string, texts chan<- string) func() error {
	return func() error {
		b, err := os.ReadFile(file)
		if err == nil {
			texts <- string(b)
		}
		return err
	}
}

func await(texts <-chan string, want string) {
	for got := ""; got != want; got = <-texts {
	}
}

// TestLinks changes a file as Kubernetes does: the path is a link into a directory that is
// itself a link, and the latter is replaced.
func TestLinks(t *testing.T) {
	root := t.TempDir()
	for _, version := range []string{"1", "2"} {
		must(t, os.Mkdir(filepath.Join(root, "v"+version), 0o700))
		must(t, os.WriteFile(filepath.Join(root, "v"+version, "file"), []byte(version), 0o600))
	}
	data, file := filepath.Join(root, "data"), filepath.Join(root, "file")
	must(t, os.Symlink("v1", data))
	must(t, os.Symlink(filepath.Join("data", "file"), file))
	texts := make(chan string, 100)
	w, err := Start(file, read(file, texts), nil)
	must(t, err)
	defer w.Close()
	await(texts, "1")
	must(t, os.Symlink("v2", data+".new"))
	must(t, os.Rename(data+".new", data))
	await(texts, "2")
}

// TestLinkElsewhere: the target of a link changes in its own directory.
func TestLinkElsewhere(t *testing.T) {
	real, file := filepath.Join(t.TempDir(), "real"), filepath.Join(t.TempDir(), "link")
	must(t, os.WriteFile(real, []byte("old"), 0o600))
	must(t, os.Symlink(real, file))
	texts := make(chan string, 100)
	w, err := Start(file, read(file, texts), nil)
	must(t, err)
	defer w.Close()
	must(t, os.WriteFile(real, []byte("new"), 0o600))
	await(texts, "new")
}

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "directory")
	must(t, os.Mkdir(dir, 0o700))
	lists := make(chan string, 100)
	w, err := Start(dir, func() error {
		entries, err := os.ReadDir(dir)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		lists <- strings.Join(names, " ")
		return err
	}, slog.New(slog.DiscardHandler))
	must(t, err)
	defer w.Close()
	must(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
	await(lists, "a")
	must(t, os.WriteFile(filepath.Join(dir, "b"), nil, 0o600))
	await(lists, "a b")
	must(t, os.Remove(filepath.Join(dir, "a")))
	await(lists, "b")
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "c"), nil, 0o600))
	await(lists, "c")
	must(t, os.WriteFile(filepath.Join(dir, "d"), nil, 0o600))
	await(lists, "c d")
}

// TestErrors: Start returns an error of the first load; an error of a later one ends nothing.
func TestErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, []byte("old"), 0o600))
	broken := errors.New("broken")
	if _, err := Start(file, func() error { return broken }, nil); !errors.Is(err, broken) {
		t.Errorf("Start: %v", err)
	}
	if _, err := Start(filepath.Join(t.TempDir(), "no", "such", "directory"), func() error { return nil }, nil); err == nil {
		t.Error("Start for a path that cannot be watched: no error")
	}
	texts := make(chan string, 100)
	w, err := Start(file, func() error {
		b, err := os.ReadFile(file)
		texts <- string(b)
		if string(b) == "bad" {
			return broken
		}
		return err
	}, slog.New(slog.DiscardHandler))
	must(t, err)
	defer w.Close()
	must(t, os.WriteFile(file, []byte("bad"), 0o600))
	await(texts, "bad")
	must(t, os.WriteFile(file, []byte("good"), 0o600))
	await(texts, "good")
}
