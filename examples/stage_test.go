package examples

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for anything. Nothing is measured by it: it only ends a
// test that would hang.
const patience = 60 * time.Second

// password is alice's on every stage.
const password = "correct horse battery"

// programs is the folder of what the tests have built.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "examples"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(status)
}

var building sync.Mutex

// build makes the program of a package once, as anybody would.
func build(t *testing.T, name, pkg string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	binary := filepath.Join(programs, name)
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	if out, err := exec.Command("go", "build", "-o", binary, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return binary
}

// stage is a folder in which the README of an example is followed.
type stage struct {
	t   *testing.T
	dir string
	env []string
}

// newStage has alice's password and the key pairs of bridge and house.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	s.mkdir("certs")
	s.zwsbridge(password+"\n", "passwd", "certs/users.htpasswd", "alice")
	s.zwsbridge("", "keygen", "certs/bridge")
	s.env = append(s.env, "HOUSE_KEY="+strings.TrimSpace(s.zwsbridge("", "keygen", "certs/house")), "ZWSBRIDGE_PASSWORD="+password)
	return s
}

func (s *stage) mkdir(name string) {
	s.t.Helper()
	if err := os.Mkdir(filepath.Join(s.dir, name), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// copy brings a file of an example onto the stage, with other words in place of some.
func (s *stage) copy(from, to string, replace ...string) {
	s.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			s.t.Fatalf("%s does not hold %q", from, replace[i])
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, to), []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), s.env...)
	return cmd
}

// try runs a command of the program and returns what it wrote.
func (s *stage) try(stdin string, args ...string) (stdout, stderr string, err error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := s.command(ctx, build(s.t, "zwsbridge", "../cmd/zwsbridge"), args...)
	var out, told bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &told
	err = cmd.Run()
	return out.String(), told.String(), err
}

// zwsbridge is try for what has to succeed.
func (s *stage) zwsbridge(stdin string, args ...string) string {
	s.t.Helper()
	out, told, err := s.try(stdin, args...)
	if err != nil {
		s.t.Fatalf("zwsbridge %s: %v\n%s", strings.Join(args, " "), err, told)
	}
	return out
}

// start runs a program until the test has ended. Each line that it writes is sent to the
// channel, which is closed with its output.
func (s *stage) start(name string, args ...string) <-chan string {
	s.t.Helper()
	cmd := s.command(context.Background(), name, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := make(chan string, 10000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			s.t.Log(scanner.Text())
			select {
			case lines <- scanner.Text():
			default:
			}
		}
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-done:
		case <-time.After(patience):
			s.t.Errorf("%s does not end", name)
			_ = cmd.Process.Kill()
			<-done
		}
		_ = cmd.Wait()
	})
	return lines
}

// await returns the first line for which found tells so.
func (s *stage) await(lines <-chan string, found func(line string) bool) string {
	s.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				s.t.Fatal("the program has ended")
			}
			if found(line) {
				return line
			}
		case <-timeout:
			s.t.Fatal("the program does not say what is awaited")
		}
	}
}

// serve runs zwsbridge serve with the configuration on stage, and returns its address.
func (s *stage) serve() (address string) {
	s.t.Helper()
	lines := s.start(build(s.t, "zwsbridge", "../cmd/zwsbridge"), "serve", "--config", "bridge.toml")
	s.await(lines, func(line string) bool {
		var told struct{ Msg, Address string }
		_ = json.Unmarshal([]byte(line), &told)
		address = told.Address
		return told.Msg == "serving"
	})
	return address
}

// house lets one of the houses and the bridge in front of it play what the README says.
func (s *stage) house(folder string, command func(readings, commands string) []string) {
	s.t.Helper()
	readings, commands := freePort(s.t), freePort(s.t)
	s.copy(filepath.Join(folder, "bridge.toml"), "bridge.toml",
		"127.0.0.1:8443", "127.0.0.1:0", "127.0.0.1:5556", readings, "127.0.0.1:5557", commands)
	line := command(readings, commands)
	s.await(s.start(line[0], line[1:]...), func(line string) bool { return strings.HasPrefix(line, "a house that publishes at") })
	url := "wss://" + s.serve()
	client := []string{"--user", "alice", "--insecure", "--timeout", "1m"}
	got := s.zwsbridge("", append([]string{"sub", url + "/devices", "--subscribe", "house/alice/", "--count", "1"}, client...)...)
	if !strings.HasPrefix(got, "house/alice/temperature\t2") {
		s.t.Errorf("sub printed %q", got)
	}
	got = s.zwsbridge("", append(append([]string{"req", url + "/commands"}, client...), "light", "on")...)
	if got != "ok: the light is on\n" {
		s.t.Errorf("req printed %q", got)
	}
	if _, told, err := s.try("", append(append([]string{"req", url + "/commands"}, client...), "door", "open")...); err == nil || !strings.Contains(told, "4403") {
		s.t.Errorf("a command that alice may not send: %v %q, want 4403", err, told)
	}
}

// freePort is an address that nobody has at present.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
