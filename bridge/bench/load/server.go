package load

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

// Server is the process under test.
type Server struct {
	Address string // where clients connect
	Feed    string // where the publisher connects or listens (see Peer)
	TLS     bool
	Dir     string // a temporary directory for its files

	cmd    *exec.Cmd
	output bytes.Buffer
}

func newServer(secure bool) (*Server, error) {
	dir, err := os.MkdirTemp("", "zwsbench")
	if err != nil {
		return nil, err
	}
	return &Server{Address: freePort(), Feed: freePort(), TLS: secure, Dir: dir}, nil
}

// Launch starts a process in s.Dir that ends with this one.
func (s *Server) Launch(name string, args ...string) error {
	s.cmd = exec.Command(name, args...)
	s.cmd.Dir = s.Dir
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return s.cmd.Start()
}

// restart sends the process a signal that ends it, waits for its end, and starts the program again.
func (s *Server) restart(with os.Signal) error {
	if err := s.cmd.Process.Signal(with); err != nil {
		return err
	}
	s.cmd.Wait() // its state after the signal does not matter
	return s.Launch(s.cmd.Path, s.cmd.Args[1:]...)
}

// wait returns once the server accepts connections, or after ten seconds with an error.
func (s *Server) wait() error {
	for range 400 {
		nc, err := net.Dial("tcp", s.Address)
		if err == nil {
			nc.Close()
			return nil
		}
		time.Sleep(25 * time.Millisecond)
	}
	return fmt.Errorf("%s does not listen on %s: %s", s.cmd.Path, s.Address, s.tail())
}

// tail returns the end of what the server has printed.
func (s *Server) tail() string {
	printed := s.output.String()
	return printed[max(0, len(printed)-3000):]
}

func (s *Server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	os.RemoveAll(s.Dir)
}

// cpu returns the processor time that the server has used, user and system.
func (s *Server) cpu() time.Duration {
	const schedClock = 2 // CPUCLOCK_SCHED, include/linux/posix-timers_types.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^s.cmd.Process.Pid<<3|schedClock), &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// resident returns the size of the server's resident set in bytes.
func (s *Server) resident() (int64, error) { return s.memory("VmRSS:") }

// peak returns the largest size that the server's resident set has had, in bytes.
func (s *Server) peak() (int64, error) { return s.memory("VmHWM:") }

// memory returns a line of the process's status in bytes.
func (s *Server) memory(line string) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), line); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// freePort returns an address on loopback whose port is not in use at the moment.
func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}
