package examples

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/testport"
)

// timeout is how long a test waits for any single event. It only ends a test that would
// hang; nothing is measured with it.
const timeout = 60 * time.Second

// password is alice's password in every testEnv.
const password = "correct horse battery"

// programs is the directory of the programs that the tests have built.
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

// build builds the program of a package once and returns its path.
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

// testEnv is a directory and an environment in which a test follows the README of an
// example.
type testEnv struct {
	t   *testing.T
	dir string
	env []string
}

// newEnv returns a testEnv with alice's password and the key pairs of bridge and house.
func newEnv(t *testing.T) *testEnv {
	t.Helper()
	e := &testEnv{t: t, dir: t.TempDir()}
	e.mkdir("certs")
	e.zwsbridge(password+"\n", "passwd", "certs/users.htpasswd", "alice")
	e.zwsbridge("", "keygen", "certs/bridge")
	e.env = append(e.env, "HOUSE_KEY="+strings.TrimSpace(e.zwsbridge("", "keygen", "certs/house")), "ZWSBRIDGE_PASSWORD="+password)
	return e
}

func (e *testEnv) mkdir(name string) {
	e.t.Helper()
	if err := os.Mkdir(filepath.Join(e.dir, name), 0o700); err != nil {
		e.t.Fatal(err)
	}
}

// copy copies a file of an example into the directory. replace has pairs of old and new
// strings; each old string must be in the file.
func (e *testEnv) copy(from, to string, replace ...string) {
	e.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			e.t.Fatalf("%s does not contain %q", from, replace[i])
		}
	}
	if err := os.WriteFile(filepath.Join(e.dir, to), []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

func (e *testEnv) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = e.dir
	cmd.Env = append(os.Environ(), e.env...)
	return cmd
}

// try runs zwsbridge and returns its output.
func (e *testEnv) try(stdin string, args ...string) (stdout, stderr string, err error) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), timeout)
	defer cancel()
	cmd := e.command(ctx, build(e.t, "zwsbridge", "../cmd/zwsbridge"), args...)
	var outBuf, errBuf bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &outBuf, &errBuf
	err = cmd.Run()
	return outBuf.String(), errBuf.String(), err
}

// zwsbridge is try for a command that must succeed. It returns the standard output.
func (e *testEnv) zwsbridge(stdin string, args ...string) string {
	e.t.Helper()
	stdout, stderr, err := e.try(stdin, args...)
	if err != nil {
		e.t.Fatalf("zwsbridge %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// start runs a program until the test ends. It returns a channel of the lines that the
// program prints, which is closed at the end of its output.
func (e *testEnv) start(name string, args ...string) <-chan string {
	e.t.Helper()
	cmd := e.command(context.Background(), name, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	lines := make(chan string, 10000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			e.t.Log(scanner.Text())
			select {
			case lines <- scanner.Text():
			default:
			}
		}
	}()
	e.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-done:
		case <-time.After(timeout):
			e.t.Errorf("%s does not end after SIGINT", name)
			_ = cmd.Process.Kill()
			<-done
		}
		_ = cmd.Wait()
	})
	return lines
}

// await returns the first line that matches.
func (e *testEnv) await(lines <-chan string, match func(line string) bool) string {
	e.t.Helper()
	expired := time.After(timeout)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				e.t.Fatal("the program ended before it printed the expected line")
			}
			if match(line) {
				return line
			}
		case <-expired:
			e.t.Fatal("the program does not print the expected line")
		}
	}
}

// startHouse runs a program that simulates a house and waits until it is ready.
func (e *testEnv) startHouse(name string, args ...string) {
	e.t.Helper()
	e.await(e.start(name, args...), func(line string) bool { return strings.HasPrefix(line, "house: ") })
}

// serve runs zwsbridge serve with bridge.toml in the directory, and returns its address.
func (e *testEnv) serve() (address string) {
	e.t.Helper()
	lines := e.start(build(e.t, "zwsbridge", "../cmd/zwsbridge"), "serve", "--config", "bridge.toml")
	e.await(lines, func(line string) bool {
		var entry struct{ Msg, Address string }
		_ = json.Unmarshal([]byte(line), &entry)
		address = entry.Address
		return entry.Msg == "serving"
	})
	return address
}

// testHouse runs a house and the bridge with the configuration in example, and the commands
// of the README. command returns the command line of a house with these addresses.
func (e *testEnv) testHouse(example string, command func(readings, commands string) []string) {
	e.t.Helper()
	readings, commands := freePort(e.t), freePort(e.t)
	e.copy(filepath.Join(example, "bridge.toml"), "bridge.toml",
		"127.0.0.1:8443", "127.0.0.1:0", "127.0.0.1:5556", readings, "127.0.0.1:5557", commands)
	line := command(readings, commands)
	e.startHouse(line[0], line[1:]...)
	url := "wss://" + e.serve()
	client := []string{"--user", "alice", "--insecure", "--timeout", "1m"}
	got := e.zwsbridge("", append([]string{"sub", url + "/devices", "--subscribe", "house/alice/", "--count", "1"}, client...)...)
	if !strings.HasPrefix(got, "house/alice/temperature\t2") {
		e.t.Errorf("sub printed %q", got)
	}
	got = e.zwsbridge("", append(append([]string{"req", url + "/commands"}, client...), "light", "on")...)
	if got != "ok: the light is on\n" {
		e.t.Errorf("req printed %q", got)
	}
	if _, stderr, err := e.try("", append(append([]string{"req", url + "/commands"}, client...), "door", "open")...); err == nil || !strings.Contains(stderr, "4403") {
		e.t.Errorf("a command that alice has no right to send: %v %q, want 4403", err, stderr)
	}
}

// freePort returns an unused address of 127.0.0.1.
func freePort(t *testing.T) string {
	t.Helper()
	return testport.Reserve(t)
}
