//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const handoverConfig = `
[server]
listen = "127.0.0.1:0"
tls = "off"
handover_drain = "2s"
[admin]
listen = "127.0.0.1:0"
socket = "admin.sock"
[history]
store = "file"
[zap]
chain = [ { authn = "app" }, { authn = "guests" }, { authn = "guests", domains = ["devices"] } ]
listen = ["ipc://%[2]s/zap"]
[auth.guests]
type = "anonymous"
[auth.app]
type = "token-endpoint"
url = "http://127.0.0.1:1/token"
identity_map = "uuid4"
store = "identities.db"
[[route]]
path = "/kept"
socket = "SUB"
connect = [%[1]q]
client_mechanisms = ["NULL"]
allow = "all"
[route.history]
topics = ["n"]
[[route]]
path = "/live"
socket = "SUB"
connect = [%[1]q]
client_mechanisms = ["NULL"]
allow = "all"
[[route]]
path = "/bound"
socket = "SUB"
bind = ["ipc://%[2]s/in"]
bind_domain = "devices"
insecure_null = true
client_mechanisms = ["NULL"]
allow = "all"
[[route]]
path = "/boundkept"
socket = "SUB"
bind = ["ipc://%[2]s/kept"]
bind_domain = "devices"
insecure_null = true
client_mechanisms = ["NULL"]
allow = "all"
[route.history]
topics = [""]
`

// upgraded is a program that is replaced again and again.
type upgraded struct {
	*program
	pid int
}

// startUpgraded starts the program, whose last process is killed when the test ends.
func startUpgraded(t *testing.T, config string, env ...string) *upgraded {
	cmd := exec.Command("./zwsbridge", "serve")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	u := &upgraded{program: startProgram(t, cmd, config)}
	u.pid = cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(u.pid, syscall.SIGKILL) }) // else its log would not end
	u.server, u.admin = u.address("serving"), u.address("serving the admin interface")
	return u
}

func (u *upgraded) signal(s syscall.Signal) {
	u.t.Helper()
	if err := syscall.Kill(u.pid, s); err != nil {
		u.t.Fatal(err)
	}
}

// upgrade has the program replaced, and returns how long nothing was kept.
func (u *upgraded) upgrade() (pause time.Duration) {
	u.t.Helper()
	u.signal(syscall.SIGUSR2)
	for both := 0; both < 2; { // in either order
		line := u.logged(`"msg":"`, `over","`)
		var entry struct {
			Msg, Pause string
			To         int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			u.t.Fatal(err)
		}
		switch entry.Msg {
		case "took over":
			both++
			var err error
			if pause, err = time.ParseDuration(entry.Pause); err != nil {
				u.t.Fatal(err)
			}
		case "handed over":
			both++
			u.pid = entry.To
		case "not handed over, this process goes on":
			u.t.Fatal(line)
		}
	}
	return pause
}

// TestHandover replaces the program twice under load, between that fails to twice, and stops it. Nobody is
// refused, no message of a history is lost that the client is not told of, and the socket files stay until
// the end.
func TestHandover(t *testing.T) {
	numbers := startCounting(t)
	sockets, err := os.MkdirTemp("", "") // the path of a socket has about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	config := fmt.Sprintf(handoverConfig, numbers.endpoint, sockets)
	u := startUpgraded(t, config)
	url := "ws://" + u.server

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	faults := make(chan string, 100)
	tenants := []*tenant{
		{name: "history", connect: followKept(url+"/kept", false)},
		{name: "history on a channel", connect: followKept(url+"/kept", true)},
		{name: "channel of a connection to another route", connect: followKept(url+"/live", true)},
		{name: "ZWS2.0", connect: followPlain(url + "/live")},
		{name: "ZWS2.0, bound", connect: followPlain(url + "/bound")},
		{name: "ZWS1.0", connect: followRaw(url+"/live?type=SUB", "ZWS1.0", "\x00", "\x00\x01n")},
		{name: "WSNetMQ", connect: followRaw(url+"/live?type=SUB", "WSNetMQ", "\x00\x01n")},
		{name: "JSON", connect: followRaw(url+"/live", "ZWSJSON1.0", `{"op":"login"}`, `{"op":"subscribe","topic":"n"}`)},
	}
	for _, f := range tenants {
		f.faults = faults
		running.Go(func() { f.run(ctx) })
	}
	var inbound, kept atomic.Int64
	running.Go(func() { inboundPublisher(ctx, "ipc://"+sockets+"/kept", &kept) })
	running.Go(func() { inboundPublisher(ctx, "ipc://"+sockets+"/in", &inbound) })

	// flows waits until each client gets messages on its visit of that number.
	flows := func(visits int64) {
		t.Helper()
		for _, f := range tenants {
			waitUntil(t, faults, fmt.Sprintf("that %s gets messages on visit %d", f.name, visits), func() bool { return f.visits.Load() >= visits })
			before := f.received.Load()
			waitUntil(t, faults, f.name+" gets messages", func() bool { return f.received.Load() >= before+10 })
		}
	}
	flows(1)
	t.Logf("first upgrade: nothing was kept for %v", u.upgrade())
	flows(2)
	waitUntil(t, faults, "the inbound backend of a history comes back", func() bool { return kept.Load() == 2 })
	connections := inbound.Load()
	if connections != 2 {
		t.Errorf("the inbound backend has connected %d times, want twice", connections)
	}

	writeConfig(t, u.cmd.Dir, config+"[nothing]\n")
	u.signal(syscall.SIGUSR2)
	u.logged("not handed over, this process goes on", "nothing: unknown")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	writeConfig(t, u.cmd.Dir, config+fmt.Sprintf(`
[[route]]
path = "/taken"
socket = "SUB"
bind = ["tcp://%s"]
bind_domain = "devices"
insecure_null = true
allow = "all"
`, taken.Addr()))
	u.signal(syscall.SIGUSR2)
	u.logged("not handed over, this process goes on", "address already in use")
	for _, f := range tenants {
		want := int64(2)
		if strings.Contains(f.name, "kept") || strings.Contains(f.name, "history") || strings.Contains(f.name, "channel") {
			want = 3 // its history was released
		}
		before := f.received.Load()
		waitUntil(t, faults, f.name+" goes on", func() bool { return f.visits.Load() >= want && f.received.Load() >= before+10 })
		if got := f.visits.Load(); got != want {
			t.Errorf("%s has come %d times after an upgrade that failed, want %d", f.name, got, want)
		}
	}

	waitUntil(t, faults, "the inbound backend of a history comes back after the failure", func() bool { return kept.Load() == 3 })
	writeConfig(t, u.cmd.Dir, config)
	t.Logf("second upgrade: nothing was kept for %v", u.upgrade())
	flows(3)
	waitUntil(t, faults, "the inbound backend of a history comes back again", func() bool { return kept.Load() == 4 })
	for _, file := range []string{"/in", "/kept", "/zap"} {
		if _, err := os.Stat(sockets + file); err != nil {
			t.Error(err)
		}
	}
	cancel()
	running.Wait()
	close(faults)
	for fault := range faults {
		t.Error(fault)
	}
	u.signal(syscall.SIGTERM)
	for range u.lines { // until both processes have ended
	}
	left, err := filepath.Glob(sockets + "/*")
	if err != nil || len(left) > 0 {
		t.Errorf("socket files are left: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(u.cmd.Dir, "admin.sock")); err == nil {
		t.Error("admin.sock is left")
	}
}

// waitUntil waits until ok returns true, and fails after a minute or at a fault.
func waitUntil(t *testing.T, faults <-chan string, want string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		select {
		case fault := <-faults:
			t.Fatal(fault)
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: want %s", want)
		}
	}
}

func writeConfig(t *testing.T, dir, config string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "bridge.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestHandoverNotified: systemd learns which process is the main one, which then notifies by itself.
func TestHandoverNotified(t *testing.T) {
	m, env := newManager(t)
	u := startUpgraded(t, systemdConfig, env, "WATCHDOG_USEC=100000")
	serving := `READY=1\nSTATUS=serving on ` + strings.ReplaceAll(u.server, ".", `\.`)
	m.next(serving)
	u.upgrade()
	m.next(fmt.Sprintf("MAINPID=%d", u.pid))
	m.next(serving)
	m.next("WATCHDOG=1")
	u.signal(syscall.SIGTERM)
	m.next(`STOPPING=1\nSTATUS=shutting down`)
}
