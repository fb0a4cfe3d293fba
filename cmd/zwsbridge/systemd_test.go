//go:build unix

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/testport"
)

const systemdConfig = localServer + forGuests

const (
	localServer = `
[server]
listen = "127.0.0.1:0"
tls = "off"
`
	forGuests = `
[admin]
listen = "127.0.0.1:0"
[zap]
chain = [ { authn = "guests" } ]
[auth.guests]
type = "anonymous"
`
)

// manager is a service manager that services notify.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

// newManager returns a manager and what its services have in their environment.
func newManager(t *testing.T) (m *manager, env string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "") // the path of a socket has about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn}, "NOTIFY_SOCKET=" + path
}

// next returns the next notification that matches a pattern as a whole, and fails if there is another
// before it. Those of the watchdog are left out unless the pattern is of one.
func (m *manager) next(pattern string) {
	m.t.Helper()
	for {
		got := m.read()
		if regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(got) {
			return
		}
		if got != "WATCHDOG=1" {
			m.t.Fatalf("notified of %q, want %q", got, pattern)
		}
	}
}

// exactly fails unless the next notification is want.
func (m *manager) exactly(want string) {
	m.t.Helper()
	if got := m.read(); got != want {
		m.t.Fatalf("notified of %q, want %q", got, want)
	}
}

func (m *manager) read() string {
	m.t.Helper()
	b := make([]byte, 4096)
	_ = m.conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := m.conn.Read(b)
	if err != nil {
		m.t.Fatal("waiting for a notification:", err)
	}
	return string(b[:n])
}

// command returns the command that runs the program in a directory of its own. before is run by the
// shell before it.
func command(t *testing.T, before string, env ...string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", before+" exec ./zwsbridge serve")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// wait waits until the program ends by itself, and returns its exit code and what it has logged since
// the last call of logged.
func (p *program) wait() (code int, log string) {
	p.t.Helper()
	for line := range p.lines {
		log += line + "\n"
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode(), log
}

// TestNotify checks what the service manager learns from the start to the end.
func TestNotify(t *testing.T) {
	m, env := newManager(t)
	p := startProgram(t, command(t, "", env, "WATCHDOG_USEC=100000"), systemdConfig)
	server, admin := p.address("serving"), p.address("serving the admin interface")
	m.next(`READY=1\nSTATUS=serving on ` + regexp.QuoteMeta(server))
	for _, address := range []string{server, admin} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Error("ready, but:", err)
		} else {
			conn.Close()
		}
	}
	m.next("WATCHDOG=1")
	m.next("WATCHDOG=1")

	signal := func(s os.Signal) {
		t.Helper()
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGHUP)
	m.next(`RELOADING=1\nMONOTONIC_USEC=[1-9]\d*`)
	m.next(`READY=1\nSTATUS=serving on ` + regexp.QuoteMeta(server))
	if err := os.WriteFile(filepath.Join(p.cmd.Dir, "bridge.toml"), []byte("[nothing]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	signal(syscall.SIGHUP)
	m.next(`RELOADING=1\nMONOTONIC_USEC=[1-9]\d*`)
	m.next(`READY=1\nSTATUS=the last reload changed nothing: .*nothing.*`)
	signal(syscall.SIGTERM)
	m.next(`STOPPING=1\nSTATUS=shutting down`)
	if code, log := p.wait(); code != exitSuccess {
		t.Errorf("exit code %d, want %d\n%s", code, exitSuccess, log)
	}
}

// TestWatchdog checks that a bridge that hangs does not notify the watchdog.
func TestWatchdog(t *testing.T) {
	m, env := newManager(t)
	name, path, _ := strings.Cut(env, "=")
	t.Setenv(name, path)
	hang := make(chan struct{})
	probes := make(chan struct{})
	n := &notifier{log: newLogger(os.Stderr).Logger, interval: time.Millisecond}
	go n.watchdog(t.Context(), func() {
		select {
		case probes <- struct{}{}:
		case <-t.Context().Done():
		}
		<-hang
	})
	<-probes
	n.send("PROBED=1")
	m.exactly("PROBED=1")
	hang <- struct{}{}
	m.exactly("WATCHDOG=1")
	<-probes
	n.send("PROBED=2")
	m.exactly("PROBED=2")
	close(hang)
}

// listeningFile returns a socket that listens, and its address.
func listeningFile(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, l.Addr().String()
}

// passing are the variables of sockets with these names, which are passed from descriptor 3 on.
func passing(names ...string) string {
	return fmt.Sprintf("LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s", len(names), strings.Join(names, ":"))
}

func checkLive(t *testing.T, admin string) {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/livez: %s", resp.Status)
	}
}

// TestPassedSockets passes the listeners as systemd does. A connection from before the start is
// served.
func TestPassedSockets(t *testing.T) {
	admin, adminAddress := listeningFile(t)
	server, serverAddress := listeningFile(t)
	early, err := net.Dial("tcp", adminAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	cmd := command(t, passing("admin", "server"))
	cmd.ExtraFiles = []*os.File{admin, server}
	p := startProgram(t, cmd, strings.Replace(systemdConfig, "127.0.0.1:0", "127.0.0.1:1", 1))
	p.logged("the socket unit of systemd has another address", `"name":"server"`, serverAddress, "127.0.0.1:1")
	if got := p.address("serving"); got != serverAddress {
		t.Errorf("serving on %s, passed %s", got, serverAddress)
	}
	if got := p.address("serving the admin interface"); got != adminAddress {
		t.Errorf("the admin interface is at %s, passed %s", got, adminAddress)
	}
	if _, err := early.Write([]byte("GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len("HTTP/1.0 200"))
	if _, err := early.Read(b); err != nil || string(b) != "HTTP/1.0 200" {
		t.Errorf("an early connection is answered with %q, %v", b, err)
	}
	checkLive(t, adminAddress)
}

// TestOnePassedSocket checks that the other listener is opened by the program.
func TestOnePassedSocket(t *testing.T) {
	server, serverAddress := listeningFile(t)
	cmd := command(t, passing("server"))
	cmd.ExtraFiles = []*os.File{server}
	p := startProgram(t, cmd, systemdConfig)
	if got := p.address("serving"); got != serverAddress {
		t.Errorf("serving on %s, passed %s", got, serverAddress)
	}
	checkLive(t, p.address("serving the admin interface"))
}

// TestRefusedSockets checks that sockets that the program cannot use stop it: nobody would answer
// their clients.
func TestRefusedSockets(t *testing.T) {
	tcp, _ := listeningFile(t)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, tt := range map[string]struct {
		names  []string
		file   *os.File
		config string
		want   string
	}{
		"unknown":      {[]string{"zwsbridge.socket"}, tcp, systemdConfig, `unknown name "zwsbridge.socket"`},
		"no names":     {nil, tcp, systemdConfig, "unknown name"},
		"twice":        {[]string{"server", "server"}, tcp, systemdConfig, `more than one socket named "server"`},
		"no socket":    {[]string{"server"}, file, systemdConfig, `"server" that does not listen`},
		"no interface": {[]string{"admin"}, tcp, systemdConfig[:strings.Index(systemdConfig, "[admin]")] + systemdConfig[strings.Index(systemdConfig, "[zap]"):], `set admin.listen`},
	} {
		t.Run(name, func(t *testing.T) {
			before := passing(tt.names...)
			if tt.names == nil {
				before = "LISTEN_PID=$$ LISTEN_FDS=1"
			}
			cmd := command(t, before)
			cmd.ExtraFiles = []*os.File{tt.file, tt.file}
			code, log := startProgram(t, cmd, tt.config).wait()
			if code != exitUsage || !strings.Contains(log, tt.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, exitUsage, tt.want, log)
			}
		})
	}
}

// TestSocketActivate runs the program by systemd's own tool, which starts it for the first
// connection.
func TestSocketActivate(t *testing.T) {
	activate, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skip("systemd-socket-activate is not installed")
	}
	server, admin := testport.Reserve(t), testport.Reserve(t)
	cmd := exec.Command(activate, "--listen="+server, "--listen="+admin, "--fdname=server:admin", "./zwsbridge", "serve")
	cmd.Dir = t.TempDir()
	p := startProgram(t, cmd, systemdConfig)
	p.logged("Listening on " + admin)
	conn, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := p.address("serving"); got != server {
		t.Errorf("serving on %s, passed %s", got, server)
	}
	checkLive(t, admin)
}

func TestSameAddress(t *testing.T) {
	for _, tt := range []struct {
		addr, configured string
		want             bool
	}{
		{"127.0.0.1:8443", "127.0.0.1:8443", true},
		{"127.0.0.1:8443", "localhost:8443", true},
		{"127.0.0.1:8443", "127.0.0.1:0", true},
		{"[::]:8443", ":8443", true},
		{"[::]:8443", "0.0.0.0:8443", true},
		{"[::]:8443", "127.0.0.1:8443", false},
		{"127.0.0.1:8443", "127.0.0.1:8444", false},
		{"127.0.0.1:8443", "malformed", false},
	} {
		addr, err := net.ResolveTCPAddr("tcp", tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := sameAddress(addr, tt.configured); got != tt.want {
			t.Errorf("%s for %s: %v", tt.addr, tt.configured, got)
		}
	}
}
