//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const followedConfig = systemdConfig + `
[[route]]
path = "/ask"
socket = "REQ"
connect = [%q]
client_mechanisms = ["NULL"]
allow = "all"
`

// TestHandoverFollowed: while the process that has handed over waits for the answer to a request, it leaves
// reloads to the new process and hands over to no other.
func TestHandoverFollowed(t *testing.T) {
	endpoint, asked := silentBackend(t)
	u := startUpgraded(t, fmt.Sprintf(followedConfig, endpoint))
	asking(t, u, asked)
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

// silentBackend starts a native peer that answers no request. It sends to asked for each.
func silentBackend(t *testing.T) (endpoint string, asked <-chan struct{}) {
	t.Helper()
	accept := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: zap.OK}, nil })
	l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, zmtp.ServerSecurity{Domain: "native", Handler: accept},
		zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.REP}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests := make(chan struct{}, 10)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				for _, err := conn.ReadMessage(); err == nil; _, err = conn.ReadMessage() {
					requests <- struct{}{}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Endpoint(), requests
}
