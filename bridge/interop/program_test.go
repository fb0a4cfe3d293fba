//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a running zwsbridge serve.
type program struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
	once    sync.Once
	logged  chan struct{} // closed when its log ends
}

// serve builds zwsbridge and runs it until the test ends. The configuration has to listen on
// port 0.
func (h *home) serve(text string) *program {
	h.t.Helper()
	h.write("bridge.toml", text)
	return h.run(h.build())
}

// build builds zwsbridge and returns the executable.
func (h *home) build() string {
	h.t.Helper()
	binary := filepath.Join(h.dir, "zwsbridge")
	run(h.t, "go", "build", "-o", binary, "../../cmd/zwsbridge")
	return binary
}

// run runs zwsbridge serve with bridge.toml until the test ends.
func (h *home) run(binary string) *program {
	h.t.Helper()
	p := &program{t: h.t, cmd: exec.Command(binary, "serve", "--config", h.path("bridge.toml")), logged: make(chan struct{})}
	log, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	serving := make(chan string, 1)
	go func() {
		defer close(p.logged)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			h.t.Log(lines.Text())
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				serving <- line.Address
			}
		}
	}()
	h.t.Cleanup(p.stop)
	select {
	case p.address = <-serving:
	case <-p.logged:
		h.t.Fatal("zwsbridge serve has exited")
	case <-time.After(patience):
		h.t.Fatal("zwsbridge serve does not start")
	}
	return p
}

// stop ends the program with SIGTERM and checks that it exits with status 0.
func (p *program) stop() {
	p.once.Do(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			p.t.Error(err)
		}
		<-p.logged
		if err := p.cmd.Wait(); err != nil {
			p.t.Errorf("zwsbridge serve: %v", err)
		}
	})
}

// kill ends the program like a crash.
func (p *program) kill() {
	p.once.Do(func() {
		if err := p.cmd.Process.Kill(); err != nil {
			p.t.Error(err)
		}
		<-p.logged
		_ = p.cmd.Wait()
	})
}
