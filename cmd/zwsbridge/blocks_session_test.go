package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"golang.org/x/crypto/bcrypt"

	"github.com/zwsbridge/zwsbridge/certs"
)

// session is the directory in which a reader follows a page, with the programs that run there.
type session struct {
	t      *testing.T
	dir    string
	ports  map[string]string // of the page: the free port that the test uses instead
	served *exec.Cmd         // the bridge
	stop   func()            // ends it
	log    *syncBuffer
}

// blockTimeout is how long a single command or a start can take.
const blockTimeout = 60 * time.Second

func newSession(t *testing.T) *session {
	s := &session{t: t, dir: t.TempDir(), ports: make(map[string]string), log: new(syncBuffer), stop: func() {}}
	t.Cleanup(func() { s.stop() })
	for _, name := range []string{"certs/controllers", "certs/jwt", "portal"} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"certs/bridge", "certs/server"} {
		cert, err := certs.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.Write(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := certs.SelfSigned(certs.SelfSignedOptions{Dir: filepath.Join(s.dir, "certs")}); err != nil { // portal.crt
		t.Fatal(err)
	}
	for _, name := range []string{"certs/oidc.secret", "certs/backend.password", "zwsbridge.creds"} {
		s.write(name, "secret\n")
	}
	s.write("certs/admin.token", "0123456789abcdef0123456789\n")
	s.write("backends.json", "[]")
	return s
}

func (s *session) write(name, text string) {
	s.t.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

var portOf = regexp.MustCompile(`(127\.0\.0\.1|0\.0\.0\.0|localhost|\*):([1-9]\d{3,4})\b`)

// local returns text with free ports instead of those of the page, so that tests can run at the same time.
func (s *session) local(text string) string {
	return portOf.ReplaceAllStringFunc(text, func(found string) string {
		m := portOf.FindStringSubmatch(found)
		if s.ports[m[2]] == "" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				s.t.Fatal(err)
			}
			_, s.ports[m[2]], _ = net.SplitHostPort(l.Addr().String())
			l.Close()
		}
		return m[1] + ":" + s.ports[m[2]]
	})
}

// localConfig is local for a configuration, also where it has the default ports.
func (s *session) localConfig(text string) string {
	for table, listen := range map[string]string{"[server]": "127.0.0.1:8443", "[admin]": "127.0.0.1:9090"} {
		_, after, has := strings.Cut(text, table+"\n")
		of, _, _ := strings.Cut("\n"+after, "\n[")
		line := table + "\nlisten = \"" + listen + "\"\n"
		switch {
		case !has && table == "[server]":
			text += line // at the end, so that line numbers stay
		case has && !strings.Contains(of, "\nlisten = "):
			text = strings.Replace(text, table+"\n", line, 1)
		}
	}
	return s.local(text)
}

// patient has logins wait longer: they must not time out on a busy machine.
func (s *session) patient() {
	text, err := os.ReadFile(filepath.Join(s.dir, "bridge.toml"))
	if err != nil {
		return // the demo
	}
	if !strings.Contains(string(text), "handshake_timeout") {
		s.write("bridge.toml", strings.NewReplacer("[zap]\n", "[zap]\ntimeout = \"1m\"\n",
			"[server]\n", "[server]\nhandshake_timeout = \"1m\"\n").Replace(string(text)))
	}
}

// shown returns output as the page shows it, with its ports.
func (s *session) shown(output string) string {
	for documented, free := range s.ports {
		output = strings.ReplaceAll(output, ":"+free, ":"+documented)
	}
	return output
}

// standard is the bridge that pages take for granted: that of the README, and an operators' listener.
const standard = `
[admin]
token_file = "certs/admin.token"
[zap]
chain = [ { authn = "users" } ]
[auth.users]
type = "htpasswd"
file = "certs/users.htpasswd"
[[route]]
path = "/devices"
socket = "SUB"
connect = ["tcp://127.0.0.1:5556"]
allow = [ { user = "*", subscribe = ["house/{user}/"] } ]
`

// writeUsers writes the password file with a hash that takes no time, also with the race detector.
func (s *session) writeUsers() {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("certs/users.htpasswd", "alice:"+string(hash)+"\n")
}

// startBridge starts the standard bridge, its user and its device.
func (s *session) startBridge(b *block) {
	s.write("bridge.toml", s.localConfig(standard))
	s.writeUsers()
	s.startDevice("PUB tcp://127.0.0.1:5556 house/alice/kitchen/temperature 21.5")
	s.serve(b, "zwsbridge serve")
}

// console runs the commands of a block, those after "$ ", and compares what they print.
func (s *session) console(b *block) {
	for _, part := range strings.Split("\n"+b.text, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		for strings.HasSuffix(command, "\\") {
			var next string
			next, want, _ = strings.Cut(want, "\n")
			command = strings.TrimSuffix(command, "\\") + strings.TrimSpace(next)
		}
		for _, program := range []string{"bash", "curl"} {
			if _, err := exec.LookPath(program); err != nil && (program == "bash" || strings.Contains(command, program)) {
				s.t.Skipf("%s needs %s", b, program)
			}
		}
		command = strings.Replace(command, "go run ./cmd/zwsbridge", "zwsbridge", 1)
		if command == "zwsbridge demo" {
			command += " --listen 127.0.0.1:8443 --admin 127.0.0.1:9090"
		}
		want = strings.TrimSpace(want)
		if strings.HasPrefix(command, "zwsbridge serve") || strings.HasPrefix(command, "zwsbridge demo") {
			stdout := s.serve(b, command)
			got := func() string { return strings.TrimSpace(s.shown(stdout.String())) }
			// What was printed before the log says "serving" can be read after it.
			for begin := time.Now(); want != "" && !matches(want, got()); time.Sleep(5 * time.Millisecond) {
				if time.Since(begin) > blockTimeout {
					s.t.Fatalf("%s: %s printed:\n%s\nwant:\n%s", b, command, got(), want)
				}
			}
			continue
		}
		got, err := s.shell(command)
		if strings.HasPrefix(command, "zwsbridge passwd ") {
			s.writeUsers()
		}
		if failed := strings.Contains(want, "zwsbridge: "); err != nil && !failed {
			s.t.Errorf("%s: %s: %v\n%s\nthe log of the bridge:\n%s", b, command, err, got, s.log.String())
		} else if !matches(want, strings.TrimSpace(got)) {
			s.t.Errorf("%s: %s printed:\n%s\nwant:\n%s\nthe log of the bridge:\n%s", b, command, got, want, s.log.String())
		}
	}
}

// matches compares output with what a page shows, where "…" is any text and the widths of columns do
// not matter.
func matches(want, got string) bool {
	parts := strings.Split(want, "…")
	for i, p := range parts {
		parts[i] = regexp.MustCompile(`\s+`).ReplaceAllString(regexp.QuoteMeta(p), `\s+`)
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*?") + `$`).MatchString(got)
}

// password is what the reader types. Commands find it in the environment or on standard input.
const password = "correct horse"

// shell runs a command and returns what it prints.
func (s *session) shell(command string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), blockTimeout)
	defer cancel()
	cmd := s.command(ctx, command)
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.CombinedOutput()
	return s.shown(string(out)), err
}

func (s *session) command(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", s.local(command))
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "ZWSBRIDGE_PASSWORD="+password)
	return cmd
}

// serve starts the bridge, after it has ended a running one, and waits until it serves. It returns what the
// bridge prints on standard output.
func (s *session) serve(b *block, command string) *syncBuffer {
	s.stop()
	s.patient()
	s.log = new(syncBuffer)
	stdout := new(syncBuffer)
	s.served = s.command(context.Background(), "exec "+command)
	s.served.Stderr, s.served.Stdout = s.log, stdout
	if err := s.served.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = s.served.Wait()
		close(ended)
	}()
	process := s.served.Process
	s.stop = func() {
		_ = process.Kill()
		<-ended
	}
	expired := time.After(blockTimeout)
	for !strings.Contains(s.log.String(), `"serving"`) {
		select {
		case <-expired:
			s.t.Fatalf("%s: %s does not serve:\n%s", b, command, s.log.String())
		case <-ended:
			s.t.Fatalf("%s: %s has ended:\n%s", b, command, s.log.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return stdout
}

// startDevice starts a ZeroMQ socket that a page takes for granted: "PUB ENDPOINT TOPIC VALUE"
// publishes all the time, "REP ENDPOINT ANSWER" answers every request.
func (s *session) startDevice(line string) {
	t := s.t
	fields := strings.Fields(line)
	ctx, cancel := context.WithCancel(context.Background())
	var socket zmq4.Socket
	var serve func() error
	switch fields[0] {
	case "PUB":
		socket = zmq4.NewPub(ctx)
		serve = func() error {
			for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) { // a PUB does not report subscriptions
				if err := socket.Send(zmq4.NewMsgFromString(fields[2:])); err != nil {
					return err
				}
			}
			return nil
		}
	case "REP":
		socket = zmq4.NewRep(ctx)
		serve = func() error {
			for ctx.Err() == nil {
				if _, err := socket.Recv(); err != nil {
					continue // a peer has disconnected
				}
				if err := socket.Send(zmq4.NewMsgString(strings.Join(fields[2:], " "))); err != nil {
					return err
				}
			}
			return nil
		}
	default:
		t.Fatalf("unknown device: %s", line)
	}
	if err := socket.Listen(s.local(fields[1])); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = serve() })
	t.Cleanup(func() {
		cancel()
		_ = socket.Close()
		running.Wait()
	})
}

// syncBuffer is a buffer for the output of a program that runs.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
