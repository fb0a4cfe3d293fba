package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"zwsbridge": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:       "testdata/script",
		Condition: mounting,
		Setup: func(env *testscript.Env) error {
			env.Values[daemonKey] = new(daemon)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":   startDaemon,
			"signal":  signalDaemon,
			"logged":  loggedByDaemon,
			"ended":   daemonEnded,
			"backend": startBackend,
			"arrived": arrivedAtSink,
			"await":   awaitOutput,

			"disk":     mountDisk,
			"readonly": readOnly,
			"fill":     fillDisk,
			"damage":   damageFile,
			"ready":    awaitReady,
		},
	})
}

// daemon is the program that runs in the background of a script.
type daemon struct {
	cmd   *exec.Cmd
	env   []string    // the endpoints of the script's backends
	lines chan string // its standard error; closed when it ends
	all   strings.Builder
	sink  <-chan string // messages that the script's sink has received
}

const daemonKey = "daemon"

func daemonOf(ts *testscript.TestScript) *daemon { return ts.Value(daemonKey).(*daemon) }

// next returns the next line of the log that matches.
func (d *daemon) next(ts *testscript.TestScript, match func(string) bool) string {
	for line := range d.lines {
		d.all.WriteString(line + "\n")
		if match(line) {
			return line
		}
	}
	ts.Fatalf("the program ended early; its log:\n%s", d.all.String())
	return ""
}

// startDaemon implements the script command "start ARG...". It starts the program in the
// background, waits until it serves and sets $ADDR to its address. Standard output goes to
// the file daemon.out.
func startDaemon(ts *testscript.TestScript, neg bool, args []string) {
	d := daemonOf(ts)
	d.all.Reset()
	d.cmd = exec.Command(filepath.Join(programDir(ts), "zwsbridge"), args...)
	d.cmd.Dir = ts.MkAbs(".")
	d.cmd.Env = append(d.env, "PATH="+ts.Getenv("PATH"))
	stderr, err := d.cmd.StderrPipe()
	ts.Check(err)
	stdout, err := os.Create(ts.MkAbs("daemon.out"))
	ts.Check(err)
	defer stdout.Close() // the program has its own descriptor
	d.cmd.Stdout = stdout
	ts.Check(d.cmd.Start())
	d.lines = make(chan string)
	go func() {
		defer close(d.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			d.lines <- scanner.Text()
		}
	}()
	ts.Defer(func() {
		_ = d.cmd.Process.Kill() // it may have ended already
		for range d.lines {
		}
		_ = d.cmd.Wait()
	})
	var entry struct{ Msg, Address string }
	d.next(ts, func(line string) bool {
		return json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving"
	})
	ts.Setenv("ADDR", entry.Address)
}

// programDir returns the directory where testscript has put the program.
func programDir(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "zwsbridge")); err == nil {
			return dir
		}
	}
	ts.Fatalf("no zwsbridge in PATH")
	return ""
}

// signalDaemon implements the script command "signal HUP|KILL|TERM".
func signalDaemon(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM}
	ts.Check(daemonOf(ts).cmd.Process.Signal(signals[args[0]]))
}

// loggedByDaemon implements the script command "logged REGEXP". It waits for a line of the
// log that matches.
func loggedByDaemon(ts *testscript.TestScript, neg bool, args []string) {
	daemonOf(ts).next(ts, regexp.MustCompile(args[0]).MatchString)
}

// daemonEnded implements the script command "ended CODE [FORBIDDEN...]". It waits until the
// program ends, and fails on another exit code or if its log contains a forbidden word.
func daemonEnded(ts *testscript.TestScript, neg bool, args []string) {
	d := daemonOf(ts)
	for line := range d.lines {
		d.all.WriteString(line + "\n")
	}
	_ = d.cmd.Wait() // the exit code is checked below
	if code := fmt.Sprint(d.cmd.ProcessState.ExitCode()); code != args[0] {
		ts.Fatalf("exit code %s, want %s; its log:\n%s", code, args[0], d.all.String())
	}
	for _, secret := range args[1:] {
		if strings.Contains(d.all.String(), secret) {
			ts.Fatalf("%q is in the log:\n%s", secret, d.all.String())
		}
	}
}

// awaitOutput implements the script command "await REGEXP PROGRAM [ARG...]". It runs the program
// until its output matches.
func awaitOutput(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("after a minute the output does not match %s", want)
}

// startBackend implements the script command "backend KIND VAR". It starts a native socket
// in this process and sets $VAR to its endpoint. KIND is pub (publishes the temperatures of
// two houses), echo (a REP that returns each request) or sink (a PULL for "arrived").
func startBackend(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	var socket zmq4.Socket
	var serve func(zmq4.Socket) error
	switch args[0] {
	case "pub":
		socket, serve = zmq4.NewPub(ctx), func(s zmq4.Socket) error { return publishHouses(ctx, s) }
	case "echo":
		socket, serve = zmq4.NewRep(ctx), echo
	case "sink":
		got := make(chan string, 100)
		daemonOf(ts).sink = got
		socket, serve = zmq4.NewPull(ctx), func(s zmq4.Socket) error { return sink(s, got) }
	default:
		ts.Fatalf("unknown backend %q (one of echo, pub, sink)", args[0])
	}
	ts.Check(socket.Listen("tcp://127.0.0.1:0"))
	endpoint := "tcp://" + socket.Addr().String()
	ts.Setenv(args[1], endpoint)
	daemonOf(ts).env = append(daemonOf(ts).env, args[1]+"="+endpoint)
	var running sync.WaitGroup
	running.Go(func() { _ = serve(socket) }) // ends with the socket
	ts.Defer(func() {
		cancel()
		_ = socket.Close()
		running.Wait()
	})
}

// publishHouses publishes until ctx is done: a PUB does not report when a peer subscribes.
func publishHouses(ctx context.Context, s zmq4.Socket) error {
	for {
		for _, house := range []string{"ann", "bob"} {
			if err := s.Send(zmq4.NewMsgFrom([]byte("house/"+house+"/temperature"), []byte("21.5"))); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func echo(s zmq4.Socket) error {
	for {
		m, err := s.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				continue // a peer has disconnected
			}
			return err
		}
		if err := s.Send(m); err != nil {
			return err
		}
	}
}

func sink(s zmq4.Socket, got chan<- string) error {
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return err
		}
		got <- formatMessage(m.Frames)
	}
}

// arrivedAtSink implements the script command "arrived MESSAGE". It waits for the next
// message at the sink and fails if it is another one.
func arrivedAtSink(ts *testscript.TestScript, neg bool, args []string) {
	if got := <-daemonOf(ts).sink; got != args[0] {
		ts.Fatalf("the sink received %q, want %q", got, args[0])
	}
}
