//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/takeover"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// heldConfig has a route whose connections last as long as their clients read nothing.
const heldConfig = localServer + `
drain = "1m"
write_timeout = "1m"
` + forGuests + `
[[route]]
path = "/echo"
socket = "DEALER"
connect = [%q]
client_mechanisms = ["NULL"]
allow = "all"
`

// flood sends to u, as a client that reads nothing, as much as is taken, and returns when no more is written to
// the client. stop ends its connection.
func flood(t *testing.T, u *upgraded) (stop func()) {
	t.Helper()
	c, err := zws.Dial(t.Context(), "ws://"+u.server+"/echo", zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Null{}})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for m := (zmtp.Message{make([]byte, 1<<20)}); c.Send(t.Context(), m) == nil; { // until the connection ends
		}
	})
	stop = func() {
		c.NetConn().Close()
		running.Wait()
	}
	t.Cleanup(stop)
	full := 0
	waitUntil(t, nil, "that what waits for the client stays", func() bool {
		if full++; queuedBytes(t, u) < 2<<20 {
			full = 0
		}
		return full > 50
	})
	return stop
}

// queuedBytes returns how much waits for the clients of /echo.
func queuedBytes(t *testing.T, u *upgraded) int64 {
	t.Helper()
	_, text := u.ask(t, "/metrics")
	_, rest, _ := strings.Cut(text, `zwsbridge_queued_bytes{route="/echo"} `)
	value, _, _ := strings.Cut(rest, "\n")
	bytes, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(bytes)
}

// ask returns what the admin server of u answers.
func (u *upgraded) ask(t *testing.T, path string) (status int, text string) {
	t.Helper()
	response, err := http.Get("http://" + u.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestHandoverReplaced: while a process that has handed over has connections left, it starts another one if
// the new one ends, at the same address, and systemd learns which one is the main process. When too many have
// ended it ends itself, with an error.
func TestHandoverReplaced(t *testing.T) {
	m, env := newManager(t)
	u := startUpgraded(t, fmt.Sprintf(heldConfig, echoBackend(t)), env)
	serving := `READY=1\nSTATUS=serving on ` + strings.ReplaceAll(u.server, ".", `\.`)
	m.next(serving)
	first := u.pid
	flood(t, u)
	u.upgrade()
	m.next(fmt.Sprintf("MAINPID=%d", u.pid))
	m.next(serving)
	for range maxReplacements {
		u.signal(syscall.SIGKILL)
		u.logged("another one is started", "signal: killed")
		m.next(fmt.Sprintf("MAINPID=%d", first))
		var entry struct{ To int }
		if err := json.Unmarshal([]byte(u.logged(`"msg":"another process has taken over"`)), &entry); err != nil {
			t.Fatal(err)
		}
		u.pid = entry.To
		m.next(fmt.Sprintf("MAINPID=%d", u.pid))
		m.next(serving)
		c, err := zws.Dial(t.Context(), "ws://"+u.server+"/echo", zws.DialOptions{SocketType: zmtp.DEALER, Security: zmtp.Null{}})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	u.signal(syscall.SIGKILL)
	m.next(fmt.Sprintf("MAINPID=%d", first))
	u.logged("nobody serves, this process ends")
	for range u.lines { // until it has ended
	}
	if err := u.cmd.Wait(); err == nil || u.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v, want exit code 1", err)
	}
}

// hang makes the program of u, when it is started again, one that never serves.
func (u *upgraded) hang() {
	u.t.Helper()
	program := filepath.Join(u.cmd.Dir, "zwsbridge")
	cat, err := exec.LookPath("cat")
	if err != nil {
		u.t.Skip(err)
	}
	for _, err := range []error{os.Remove(program), os.Symlink(cat, program), syscall.Mkfifo(filepath.Join(u.cmd.Dir, "serve"), 0o600)} {
		if err != nil {
			u.t.Fatal(err)
		}
	}
}

// TestHandoverStopped: SIGTERM while a process waits for the new one to serve ends both.
func TestHandoverStopped(t *testing.T) {
	u := startUpgraded(t, systemdConfig)
	u.hang()
	u.signal(syscall.SIGUSR2)
	u.logged("handing over to a new process")
	u.signal(syscall.SIGTERM)
	u.logged("not handed over, since this process is to end", `"level":"INFO"`)
	u.logged("shutting down")
	for range u.lines { // until both have ended
	}
	if err := u.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// startMute starts a process that never says anything.
func startMute(t *testing.T) *takeover.Child {
	t.Helper()
	defer func(args []string) { os.Args = args }(os.Args)
	os.Args = []string{"sleep", "1000"}
	child, err := takeover.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	return child
}

// TestHandoverSilent: a new process that is stopped before it serves is ended in time.
func TestHandoverSilent(t *testing.T) {
	child := startMute(t)
	if err := syscall.Kill(child.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	err := new(server).await(context.Background(), child, time.Millisecond, nil)
	if err == nil || !strings.Contains(err.Error(), "does not serve after 1ms") {
		t.Error(err)
	}
	for range 1000 { // fills what a process that reads nothing takes
		if child.Left(1) != nil {
			break
		}
	}
	child.Kill()
	if err := syscall.Kill(child.PID(), 0); err != syscall.ESRCH {
		t.Errorf("after Kill the process has not ended: %v", err)
	}
}

const resumedConfig = systemdConfig + inFiles + keptRoute

// TestHandoverResumedLater: when neither the new process nor, after its failure, the old one can open the files,
// the old one tries again until it can.
func TestHandoverResumedLater(t *testing.T) {
	u := startUpgraded(t, resumedConfig)
	locks, err := filepath.Glob(filepath.Join(u.cmd.Dir, "history", "*", "lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("%d lock files of histories, %v", len(locks), err)
	}
	dir := filepath.Dir(locks[0])
	if err := os.Rename(dir, dir+".away"); err != nil { // the process has its files open
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	u.signal(syscall.SIGUSR2)
	u.logged("not handed over, this process goes on", "not a directory")
	u.logged("routes stay closed", "not a directory")
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	u.logged("what was released is open again")
	c, err := zws.Dial(t.Context(), "ws://"+u.server+"/kept", zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Null{}})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestHandoverDraining: the new process says how many connections the old one has left.
func TestHandoverDraining(t *testing.T) {
	config := strings.Replace(heldConfig, "[admin]\n", "[admin]\nsocket = \"admin.sock\"\n", 1)
	u := startUpgraded(t, fmt.Sprintf(config, echoBackend(t)))
	stop := flood(t, u)
	u.upgrade()
	status := func(flags ...string) string {
		cmd := exec.Command("./zwsbridge", append([]string{"status"}, flags...)...)
		cmd.Dir = u.cmd.Dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	draining := func() int {
		var summary struct{ Draining int }
		if err := json.Unmarshal([]byte(status("--json")), &summary); err != nil {
			t.Fatal(err)
		}
		return summary.Draining
	}
	const line = "draining     1 left of the process before\n"
	waitUntil(t, nil, "that status shows 1 connection draining", func() bool { return draining() == 1 && strings.Contains(status(), line) })
	stop()
	waitUntil(t, nil, "no connection draining", func() bool { return draining() == 0 })
	if out := status(); strings.Contains(out, "draining") {
		t.Errorf("status says:\n%s", out)
	}
}

// TestShutdownDraining: while a bridge shuts down, /readyz says how many connections are left.
func TestShutdownDraining(t *testing.T) {
	u := startUpgraded(t, fmt.Sprintf(heldConfig, echoBackend(t)))
	flood(t, u)
	u.signal(syscall.SIGTERM)
	waitUntil(t, nil, "that /readyz says what is left", func() bool {
		status, text := u.ask(t, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "draining: 1 connections left")
	})
}

// TestHandoverReload: an operator who asks a process that has handed over to reload is told where to ask.
func TestHandoverReload(t *testing.T) {
	refuse := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: zap.Refused}, nil })
	b, err := bridge.New(config.Default(), bridge.Options{Handler: refuse, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	child := startMute(t)
	s := &server{bridge: b, log: newLogger(io.Discard), reloads: make(chan reloadRequest)}
	following, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- (&follower{server: s, child: child}).run(t.Context(), following) }()
	if _, err := s.requestReload(t.Context()); !errors.Is(err, errHandedOver) {
		t.Errorf("%v, want %v", err, errHandedOver)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
