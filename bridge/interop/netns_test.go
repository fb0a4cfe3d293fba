//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Two hosts for tests of what crosses a network, in namespaces with a veth pair. Tests with them
// run one after the other.
const (
	bridgeAddress = "10.77.0.1"
	deviceAddress = "10.77.0.2"
	movedAddress  = "10.77.0.3" // also of the device
)

// lan are two namespaces: one for the bridge and one for devices.
type lan struct{ bridge, device string }

// newLAN makes the namespaces, for the time of the test.
func newLAN(t *testing.T) *lan {
	t.Helper()
	need(t, "netns")
	l := &lan{fmt.Sprintf("zws%db", os.Getpid()), fmt.Sprintf("zws%dd", os.Getpid())}
	for _, n := range []string{l.bridge, l.device} {
		run(t, "ip", "netns", "add", n)
		t.Cleanup(func() { run(t, "ip", "netns", "del", n) })
		run(t, "ip", "-n", n, "link", "set", "lo", "up")
	}
	run(t, "ip", "link", "add", "veth0", "netns", l.bridge, "type", "veth", "peer", "name", "veth0", "netns", l.device)
	run(t, "ip", "-n", l.bridge, "addr", "add", bridgeAddress+"/24", "dev", "veth0")
	run(t, "ip", "-n", l.device, "addr", "add", deviceAddress+"/24", "dev", "veth0")
	run(t, "ip", "-n", l.device, "addr", "add", movedAddress+"/24", "dev", "veth0")
	for _, n := range []string{l.bridge, l.device} {
		run(t, "ip", "-n", n, "link", "set", "veth0", "up")
	}
	return l
}

// useDNS has programs in the bridge's namespace ask a server on its loopback interface.
func (l *lan) useDNS(t *testing.T) {
	t.Helper()
	dir := filepath.Join("/etc/netns", l.bridge)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// host is a program in a namespace whose lines a test reads.
type host struct {
	t     *testing.T
	cmd   *exec.Cmd
	name  string
	lines chan string // closed when it has ended
	once  sync.Once
}

// startIn runs a program in a namespace until the test ends. Its lines are those of standard error
// if fromError is set, else of standard output.
func startIn(t *testing.T, namespace string, fromError bool, name string, args ...string) *host {
	t.Helper()
	h := &host{t: t, name: filepath.Base(name), lines: make(chan string, 10000)}
	h.cmd = exec.Command("ip", append([]string{"netns", "exec", namespace, name}, args...)...)
	var out io.Reader
	var err error
	if fromError {
		h.cmd.Stdout = t.Output()
		out, err = h.cmd.StderrPipe()
	} else {
		h.cmd.Stderr = t.Output()
		out, err = h.cmd.StdoutPipe()
	}
	if err == nil {
		err = h.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(h.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if fromError {
				t.Log(h.name, lines.Text())
			}
			select {
			case h.lines <- lines.Text():
			default: // nobody wants so many
			}
		}
	}()
	t.Cleanup(h.stop)
	return h
}

// stop ends the program with SIGTERM.
func (h *host) stop() {
	h.once.Do(func() {
		_ = h.cmd.Process.Signal(syscall.SIGTERM)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range h.lines {
			}
		}()
		select {
		case <-ended:
		case <-time.After(patience):
			h.t.Errorf("%s does not exit", h.name)
			_ = h.cmd.Process.Kill()
		}
		_ = h.cmd.Wait()
	})
}

// until reads lines until one is accepted.
func (h *host) until(want string, accept func(line string) bool) {
	h.t.Helper()
	end := time.After(patience)
	for {
		select {
		case line, ok := <-h.lines:
			if !ok {
				h.t.Fatalf("%s has exited: want %s", h.name, want)
			}
			if accept(line) {
				return
			}
		case <-end:
			h.t.Fatalf("%s: want %s", h.name, want)
		}
	}
}

// endpoints waits until the bridge logs that a source has so many endpoints.
func (h *host) endpoints(source string, n int) {
	h.t.Helper()
	h.until(fmt.Sprintf("%d endpoints of %s", n, source), func(line string) bool { return hasEndpoints(line, source, n) })
}

// serves waits until the bridge logs that it serves, and before or after that the first n endpoints
// of a source.
func (h *host) serves(source string, n int) {
	h.t.Helper()
	serving, listed := false, false
	h.until(fmt.Sprintf("serving, and %d endpoints of %s", n, source), func(line string) bool {
		serving = serving || strings.Contains(line, `"msg":"serving"`)
		listed = listed || hasEndpoints(line, source, n)
		return serving && listed
	})
}

// hasEndpoints reports whether a line of the bridge says that a source has n endpoints.
func hasEndpoints(line, source string, n int) bool {
	var l struct {
		Msg, Source, Error string
		Endpoints          int
	}
	return json.Unmarshal([]byte(line), &l) == nil && l.Source == source && l.Endpoints == n && l.Error == ""
}

// logs waits for a line of the bridge with this message, and returns one of its attributes.
func (h *host) logs(message, attribute string) (value string) {
	h.t.Helper()
	h.until(message, func(line string) bool {
		l := make(map[string]any)
		if json.Unmarshal([]byte(line), &l) != nil || l["msg"] != message {
			return false
		}
		value = fmt.Sprint(l[attribute])
		return true
	})
	return value
}

// gets waits until a client has printed each of the messages, from now on.
func (h *host) gets(want ...string) {
	h.t.Helper()
	for len(h.lines) > 0 {
		<-h.lines
	}
	h.until(fmt.Sprintf("%q", want), func(line string) bool {
		want = slices.DeleteFunc(want, func(w string) bool { return w == line })
		return len(want) == 0
	})
}
