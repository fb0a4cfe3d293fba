//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/testport"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestFewDescriptors runs the program with few file descriptors, a crowd of clients that ask
// for files and never read, and one of backends that connect and say nothing. It checks that a
// client that is logged in goes on, with a backend more, that operators are answered, and that
// a new client can log in when the crowd has left.
func TestFewDescriptors(t *testing.T) {
	inbound := testport.Reserve(t)
	p := startLimited(t, 128, `
[server]
listen = "127.0.0.1:0"
tls = "off"
static = "www"
handshake_timeout = "1h"
write_timeout = "1h"
[admin]
listen = "127.0.0.1:0"
socket = "admin.sock"
[zap]
chain = [ { authn = "guests" }, { authn = "guests", domains = ["devices"] } ]
[auth.guests]
type = "anonymous"
[[route]]
path = "/echo"
socket = "DEALER"
connect = ["`+echoBackend(t)+`"]
client_mechanisms = ["NULL"]
[[route]]
path = "/devices"
socket = "SUB"
bind = ["tcp://`+inbound+`"]
bind_domain = "devices"
insecure_null = true
`)
	status := exec.Command("./zwsbridge", "status")
	status.Dir = p.cmd.Dir
	if out, err := status.CombinedOutput(); err != nil || !regexp.MustCompile(`(?m)^connections +0 of at most \d\d$`).Match(out) {
		t.Errorf("%v, want the number that 128 descriptors permit:\n%s", err, out)
	}
	good, err := zws.DialMux(t.Context(), "ws://"+p.server+"/echo", zws.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	ask := func() {
		t.Helper()
		c, err := good.Open(t.Context(), zws.ChannelOptions{Route: "/echo"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Send(t.Context(), zmtp.Message{[]byte("hello")}); err != nil {
			t.Fatal(err)
		}
		if m, err := c.Recv(t.Context()); err != nil || string(m[0]) != "hello" {
			t.Fatalf("%q, %v", m, err)
		}
	}
	ask()
	crowd := join(t, p.server, 300, "GET /zws/nacl.js HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
	join(t, inbound, 200, "")
	p.logged(`"connection refused"`, `the limit of file descriptors is reached`)
	ask()
	for range 3 {
		status := func(path string) string {
			t.Helper()
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := client.Get("http://" + p.admin + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			return resp.Status + "\n" + string(text)
		}
		if got := status("/livez"); !strings.HasPrefix(got, "200 ") {
			t.Error(got)
		}
		// Descriptors never ran out.
		metrics := status("/metrics")
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "zwsbridge_accept_errors_total") && !strings.HasSuffix(line, " 0\n") {
				t.Error(line)
			}
		}
		ask()
	}
	for _, c := range crowd {
		c.Close()
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		c, err := zws.Dial(t.Context(), "ws://"+p.server+"/echo", zws.DialOptions{Security: zmtp.Null{}, SocketType: zmtp.DEALER})
		if err == nil {
			c.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// join opens connections that send one of the requests many times and never read.
func join(t *testing.T, address string, n int, requests ...string) (crowd []net.Conn) {
	t.Helper()
	for i := range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		crowd = append(crowd, c)
		_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, strings.Repeat(requests[i%len(requests)], 200)) // it may be closed already
	}
	return crowd
}

// program is `zwsbridge serve` in another process.
type program struct {
	t             *testing.T
	cmd           *exec.Cmd
	server, admin string // addresses
	lines         chan string
}

// startLimited starts the program with a limit of file descriptors, and waits until it has logged
// that it accepts fewer connections for that. It serves a large file at /large. The program ends
// with the test.
func startLimited(t *testing.T, descriptors int, config string) *program {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o755); err != nil {
		t.Fatal(err)
	}
	large, err := os.Create(filepath.Join(dir, "www", "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	if err := large.Truncate(64 << 20); err != nil { // takes no space
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d && exec ./zwsbridge serve", descriptors))
	cmd.Dir = dir
	p := startProgram(t, cmd, config)
	p.logged(`"msg":"fewer connections than server.max_connections`)
	p.server, p.admin = p.address("serving"), p.address("serving the admin interface")
	return p
}

// startProgram starts a command that runs ./zwsbridge in its directory, with that configuration.
// It ends with the test.
func startProgram(t *testing.T, cmd *exec.Cmd, config string) *program {
	t.Helper()
	if err := os.WriteFile(filepath.Join(cmd.Dir, "bridge.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	// By this name the test binary is the program: see TestMain.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(cmd.Dir, "zwsbridge")); err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, cmd: cmd, lines: make(chan string, 10000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(p.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	return p
}

// address returns the address in the next line of the log with that message.
func (p *program) address(message string) string {
	p.t.Helper()
	var entry struct{ Address string }
	if err := json.Unmarshal([]byte(p.logged(`"msg":"`+message+`"`)), &entry); err != nil {
		p.t.Fatal(err)
	}
	return entry.Address
}

// logged waits for a line of the log that has all parts.
func (p *program) logged(parts ...string) string {
	p.t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended before it logged %q", parts)
			}
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return line
			}
		case <-limit:
			p.t.Fatalf("after a minute the program has not logged %q", parts)
		}
	}
}

// echoBackend starts a native peer that returns each message.
func echoBackend(t *testing.T) (endpoint string) {
	t.Helper()
	security := zmtp.ServerSecurity{Domain: "native", Handler: zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
		return &zap.Reply{Status: zap.OK}, nil
	})}
	l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, security, zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.DEALER}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				for {
					m, err := c.ReadMessage()
					if err != nil || c.Write(m) != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		cancel()
		running.Wait()
	})
	return l.Endpoint()
}
