package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Return is a load of clients that lose the bridge and come back, while others are served by a
// second bridge.
type Return struct {
	Program  string // zwsbridge
	Clients  int
	TLS      bool
	Graceful bool // the bridge is shut down (SIGTERM) and started again; otherwise killed and started again
	// Generator returns the command that calls [Reconnect] in a process of its own.
	Generator func(address string, secure bool, clients int) *exec.Cmd
}

const (
	// returnRate is how many messages a second the clients that come back are sent: data is there
	// at most half a second after a subscription.
	returnRate = 2
	// besideClients and besideRate are the load of the second bridge.
	besideClients, besideRate = 100, 100
)

// Comeback is what clients that lost the bridge have seen.
type Comeback struct {
	Returned
	Most, All     time.Duration // from the loss until 99 % of the clients, and all, had data again
	Missing       int           // clients without
	Before, Peak  int64         // resident bytes of the bridge with all clients before the loss; the most afterwards
	CPU           time.Duration // of the bridge after it was started again
	Alone, Beside time.Duration // 99th percentile of the latency at the second bridge, before and meanwhile
}

// Run measures once. All clients log in as the same user with a password.
func (l Return) Run() (result Comeback, err error) {
	s := new(setup)
	defer s.close()
	defer func() {
		if err != nil {
			err = s.explain(err)
		}
	}()
	p := &Peer{Start: startBridge(l.Program, settings{shared: true})}
	if err := s.start(p, Profile{TLS: l.TLS}); err != nil {
		return Comeback{}, err
	}
	stop := make(chan struct{})
	defer close(stop)
	go s.publishUntil(stop, returnRate)
	generator, err := l.generate(s.srv)
	if err != nil {
		return Comeback{}, err
	}
	defer generator.stop()
	if err := generator.ready(); err != nil {
		return Comeback{}, err
	}
	time.Sleep(stableTime) // the clients forget the failures of their first logins
	if result.Before, err = s.srv.resident(); err != nil {
		return Comeback{}, err
	}

	second, err := newSetup(Bridge("", l.Program, "/sub"), Profile{Clients: besideClients, Pace: Pace{}.withDefaults()})
	if err != nil {
		return Comeback{}, err
	}
	defer second.close()
	wait := func() error { time.Sleep(3 * time.Second); return nil }
	alone, err := second.replay(besideRate, wait)
	if err != nil {
		return Comeback{}, err
	}
	var lost int64
	beside, err := second.replay(besideRate, func() error {
		lost = clock()
		with := os.Signal(syscall.SIGKILL)
		if l.Graceful {
			with = syscall.SIGTERM
		}
		if err := s.srv.restart(with); err != nil {
			return err
		}
		return generator.result(&result.Returned)
	})
	if err != nil {
		return Comeback{}, err
	}
	result.Alone, result.Beside = alone.P99, beside.P99
	result.CPU = s.srv.cpu()
	if result.Peak, err = s.srv.peak(); err != nil {
		return Comeback{}, err
	}
	return result, result.since(lost, l.Clients)
}

// since fills in what follows from the times at which the clients were back.
func (r *Comeback) since(lost int64, clients int) error {
	r.Missing = clients - len(r.At)
	enough := (clients*99 + 99) / 100
	if len(r.At) < enough {
		return fmt.Errorf("%d of %d clients came back; failures: %v", len(r.At), clients, r.Failures)
	}
	r.Most = time.Duration(r.At[enough-1] - lost)
	r.All = time.Duration(r.At[len(r.At)-1] - lost)
	return nil
}

// publishUntil publishes at a rate until stop is closed, whether or not the bridge is there.
func (s *setup) publishUntil(stop <-chan struct{}, rate int) {
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			_ = s.publisher.publish(1) // of a PUB: never fails
		}
	}
}

// generator is a running process of clients.
type generator struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func (l Return) generate(srv *Server) (*generator, error) {
	g := &generator{cmd: l.Generator(srv.Address, srv.TLS, l.Clients)}
	g.cmd.Stderr = os.Stderr
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	g.out = bufio.NewReader(out)
	return g, g.cmd.Start()
}

// ready waits until all clients have data.
func (g *generator) ready() error {
	line, err := g.out.ReadString('\n')
	if err == nil && line != "ready\n" {
		err = fmt.Errorf("the process of the clients says %q, want \"ready\"", line)
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the process of the clients has ended")
	}
	return err
}

// result waits until all clients are back.
func (g *generator) result(r *Returned) error { return json.NewDecoder(g.out).Decode(r) }

func (g *generator) stop() {
	g.cmd.Process.Kill()
	g.cmd.Wait()
}
