//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestHandoverFollowed: while the process that has handed over has connections left, it leaves reloads to the
// new process and hands over to no other.
func TestHandoverFollowed(t *testing.T) {
	u := startUpgraded(t, fmt.Sprintf(heldConfig, echoBackend(t)))
	flood(t, u)
	u.upgrade()
	before := u.cmd.Process
	for s, want := range map[syscall.Signal]string{
		syscall.SIGHUP:  "configuration reloaded", // by the new process: the old one logs that it leaves it
		syscall.SIGUSR2: "handed over already",
	} {
		if err := before.Signal(s); err != nil {
			t.Fatal(err)
		}
		u.logged(want)
	}
}

const inFiles = `
[history]
store = "file"
`

const keptRoute = `
[[route]]
path = "/kept"
socket = "SUB"
connect = ["tcp://127.0.0.1:1"]
ready = "none"
client_mechanisms = ["NULL"]
allow = "all"
[route.history]
topics = [""]
`

// TestHandoverFilesLater: the new process needs files only for a configuration that it reloads while the old one has
// connections left. It does not wait for these to end, and the old one still notices when the new one ends.
func TestHandoverFilesLater(t *testing.T) {
	config := fmt.Sprintf(heldConfig, echoBackend(t)) + inFiles
	u := startUpgraded(t, config+keptRoute)
	flood(t, u)
	file := filepath.Join(u.cmd.Dir, "bridge.toml")
	for i, text := range []string{config, config + keptRoute} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			u.upgrade()
		}
	}
	u.signal(syscall.SIGHUP)
	u.logged("configuration reloaded")
	u.signal(syscall.SIGKILL)
	u.logged("another one is started", "signal: killed")
	var entry struct{ To int }
	if err := json.Unmarshal([]byte(u.logged(`"msg":"another process has taken over"`)), &entry); err != nil {
		t.Fatal(err)
	}
	u.pid = entry.To
}
