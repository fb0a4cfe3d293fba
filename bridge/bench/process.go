package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// server is the process under test.
type server struct {
	address string // where clients connect
	feed    string // where the publisher connects, or listens (see peer)
	tls     bool
	dir     string // for its files
	cmd     *exec.Cmd
	output  bytes.Buffer
}

// launch starts a process that ends with this one.
func (s *server) launch(name string, args ...string) error {
	s.cmd = exec.Command(name, args...)
	s.cmd.Dir = s.dir
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return s.cmd.Start()
}

// wait returns once the server accepts connections.
func (s *server) wait() error {
	for range 400 {
		nc, err := net.Dial("tcp", s.address)
		if err == nil {
			nc.Close()
			return nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	return fmt.Errorf("%s does not listen on %s: %s", s.cmd.Path, s.address, tail(s.output.String()))
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	os.RemoveAll(s.dir)
}

// cpu is the processor time that the server has used, user and system.
func (s *server) cpu() time.Duration {
	const schedClock = 2 // CPUCLOCK_SCHED, include/linux/posix-timers_types.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^s.cmd.Process.Pid<<3|schedClock), &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// resident is how many octets of the server are in memory.
func (s *server) resident() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// freePort is a port that nobody listens on just now.
func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}
