package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// mounting is the condition [mount]: the test can mount file systems.
func mounting(condition string) (bool, error) {
	if condition != "mount" {
		return false, errors.New("unknown condition")
	}
	dir, err := os.MkdirTemp("", "mount")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if mountTmpfs(dir) != nil {
		return false, nil
	}
	return true, unmount(dir)
}

// mountDisk implements the script command "disk DIR". It mounts a file system of 1 MiB there.
func mountDisk(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(mountTmpfs(dir))
	ts.Defer(func() { ts.Check(unmount(dir)) })
}

// readOnly implements the script command "readonly DIR" for one that disk has mounted.
func readOnly(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(remountReadOnly(ts.MkAbs(args[0])))
}

// fillDisk implements the script command "fill DIR". It writes to the file "ballast" until the
// disk is full.
func fillDisk(ts *testscript.TestScript, neg bool, args []string) {
	f, err := os.Create(filepath.Join(ts.MkAbs(args[0]), "ballast"))
	ts.Check(err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		ts.Fatalf("%v, want that the disk is full", err)
	}
}

// damageFile implements the script command "damage PATTERN". It changes a byte in the middle of a
// file.
func damageFile(ts *testscript.TestScript, neg bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s: %q, want one file", args[0], found)
	}
	text, err := os.ReadFile(found[0])
	ts.Check(err)
	text[len(text)/2] ^= 1
	ts.Check(os.WriteFile(found[0], text, 0o600))
}

// awaitReady implements the script command "ready REGEXP". It asks for /readyz until the answer
// matches, and sets $ADMIN to the address of the admin interface.
func awaitReady(ts *testscript.TestScript, neg bool, args []string) {
	d, want := daemonOf(ts), regexp.MustCompile(args[0])
	var entry struct{ Msg, Address string }
	admin := func(line string) bool {
		return json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving the admin interface"
	}
	if !anyLine(d.all.String(), admin) {
		d.next(ts, admin)
	}
	answer := ""
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
		r, err := http.Get("http://" + entry.Address + "/readyz")
		ts.Check(err)
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		ts.Check(err)
		if answer = r.Status + " " + string(body); want.MatchString(answer) {
			ts.Setenv("ADMIN", entry.Address)
			return
		}
	}
	ts.Fatalf("/readyz: %s, want %s", answer, want)
}

func anyLine(text string, match func(string) bool) bool {
	for line := range strings.Lines(text) {
		if match(line) {
			return true
		}
	}
	return false
}
