package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/takeover"
)

// unusedAfter is when listeners are closed that were handed over and that the configuration does not use. A
// route whose history bridges share listens once it leads.
const unusedAfter = 10 * time.Second

// process is what this process has from outside, and what it can hand over.
type process struct {
	parent  *takeover.Parent // the process that hands over to this one; nil if there is none
	passed  sockets
	systemd map[string]bool // names of the sockets that systemd has opened

	accepting *pausable // of the clients
	open      []takeover.Listener
}

// newProcess returns what was passed to this process.
func newProcess() (*process, error) {
	parent, err := takeover.Inherit()
	if err != nil {
		return nil, err
	}
	p := &process{parent: parent, systemd: make(map[string]bool)}
	if p.passed, err = passedSockets(); err != nil {
		parent.Failed(err)
		return nil, err
	}
	for _, name := range []string{serverSocket, adminSocket} {
		if l := parent.Listener(name); l != nil {
			p.passed[name] = l
		}
		p.systemd[name] = p.passed[name] != nil
	}
	return p, nil
}

// inherit takes the listeners over whose address is that of the configuration.
func (p *process) inherit(c *config.Config) {
	for name, address := range map[string]string{serverSocket: c.Server.Listen, adminSocket: c.Admin.Listen, unixSocket: string(c.Admin.Socket)} {
		if l := p.parent.Listener(inherited(name, address)); l != nil {
			p.passed[inherited(name, address)] = l
		}
	}
}

// inherited is the name of a listener at an address of the configuration.
func inherited(name, address string) string { return name + " " + address }

// endpoint is that of one of the bridge's.
func endpoint(network, address string) string { return inherited("zmtp "+network, address) }

// socket is bridge.Options.Socket.
func (p *process) socket(network, address string) net.Listener {
	return p.parent.Listener(endpoint(network, address))
}

// pausable returns l so that it can be paused.
func (p *process) pausable(l net.Listener) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l
	}
	p.accepting = &pausable{TCPListener: tcp}
	return p.accepting
}

// use notes the listeners of s.
func (p *process) use(s *server) {
	add := func(name, address string, l net.Listener) {
		if c, ok := l.(syscall.Conn); ok {
			if !p.systemd[name] {
				name = inherited(name, address)
			}
			p.open = append(p.open, takeover.Listener{Name: name, Conn: c})
		}
	}
	add(serverSocket, s.config.Server.Listen, s.listener)
	add(adminSocket, s.config.Admin.Listen, s.adminListener)
	add(unixSocket, string(s.config.Admin.Socket), s.socketListener)
}

// takeOver tells the process that hands over that this one serves. It returns when this one is the main
// process of the service, or ctx is done.
func (s *server) takeOver(ctx context.Context) {
	parent := s.program.parent
	if parent == nil {
		return
	}
	pause := parent.Pause()
	if err := parent.Ready(ctx); err != nil {
		s.log.Warn("the process that hands over has not finished that", "pid", parent.PID, "error", err)
	}
	s.log.Info("took over", "from", parent.PID, "pause", pause.Round(time.Millisecond))
	time.AfterFunc(unusedAfter, parent.CloseUnused)
}

// handOver starts the program again and hands everything over to it. It returns nil if that fails: then
// this process goes on.
func (s *server) handOver(ctx context.Context) *takeover.Child {
	listeners := s.program.open
	for _, l := range s.bridge.Listeners() {
		network, address, socket := l.Socket()
		if c, ok := socket.(syscall.Conn); ok {
			listeners = append(listeners[:len(listeners):len(listeners)], takeover.Listener{Name: endpoint(network, address), Conn: c})
		}
	}
	s.log.Info("handing over to a new process", "program", os.Args[0])
	child, err := takeover.Start(listeners)
	if err == nil {
		err = s.await(ctx, child)
	}
	if err != nil {
		s.log.Error("not handed over, this process goes on", "error", err)
		return nil
	}
	return child
}

// await returns once the new process serves, or with an error after it was ended and this process serves
// as before.
func (s *server) await(ctx context.Context, child *takeover.Child) (err error) {
	released := false
	defer func() {
		if err == nil {
			return
		}
		child.Kill()
		if released {
			err = errors.Join(err, s.bridge.Resume())
			s.program.accepting.resume()
		}
	}()
	timeout := time.NewTimer(takeover.Timeout)
	defer timeout.Stop()
	for {
		select {
		case event, ok := <-child.Events:
			switch {
			case !ok:
				return child.Err()
			case event == takeover.Release:
				released = true
				s.program.accepting.pause()
				_ = child.Released(s.bridge.Release(ctx)) // an error is the end of the process, which is an event
			case event == takeover.Ready:
				s.unwatch()
				s.announcer.close() // before the new process announces the bridge
				s.notifier.handedOver(child.PID())
				_ = child.Main() // likewise
				return nil
			}
		case <-timeout.C:
			return fmt.Errorf("process %d does not serve after %v", child.PID(), takeover.Timeout)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errHandedOver answers a request for a reload.
var errHandedOver = errors.New("another process has taken over: reload again there")

// retire ends the connections, which the new process takes, for server.handover_drain at most or until
// ctx is done.
func (s *server) retire(ctx context.Context, child *takeover.Child, reload <-chan os.Signal) error {
	start := time.Now()
	s.log.Info("handed over", "to", child.PID(), "connections", s.bridge.Connections(), "handover_drain", s.config.Server.HandoverDrain)
	keepFile(s.socketListener, true) // it is the other's
	for _, server := range []*http.Server{s.http, s.admin, s.socket} {
		if server != nil {
			go func() { _ = server.Shutdown(ctx) }() // closes the listener at once
		}
	}
	following, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.follow(following, child, reload) })
	s.bridge.HandOver(ctx)
	err := s.close()
	stop()
	running.Wait()
	s.log.Info("all connections have ended after the handover", "to", child.PID(), "took", time.Since(start).Round(time.Millisecond))
	return err
}

// follow tells the new process each second how many connections are left, and passes on what is requested of
// this one, until ctx is done.
func (s *server) follow(ctx context.Context, child *takeover.Child, reload <-chan os.Signal) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	events := child.Events
	for {
		_ = child.Left(s.bridge.Connections()) // an error is the end of the process
		select {
		case <-events: // which is the only one after Ready
			events = nil
			if err := child.Err(); err != nil {
				s.log.Error("the process that took over has ended, and nobody serves", "pid", child.PID(), "error", err)
			}
		case <-reload:
			s.log.Info("a reload is left to the process that took over", "pid", child.PID())
			_ = child.Reload() // likewise
		case request := <-s.reloads:
			request.answer(bridge.Reloaded{}, errHandedOver)
		case <-s.handover:
			s.log.Warn("handed over already: the signal is for the process that took over", "pid", child.PID())
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// pausable is a listener whose Accept can be paused: clients that connect meanwhile wait in the system.
type pausable struct {
	*net.TCPListener

	mu     sync.Mutex
	paused chan struct{} // closed by resume; nil while it is not paused
}

// Accept returns the next connection, also after pauses.
func (l *pausable) Accept() (net.Conn, error) {
	for {
		c, err := l.TCPListener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
		l.mu.Lock()
		paused := l.paused
		l.mu.Unlock()
		if paused != nil {
			<-paused
		}
	}
}

func (l *pausable) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == nil {
		l.paused = make(chan struct{})
		_ = l.SetDeadline(time.Unix(1, 0))
	}
}

func (l *pausable) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused != nil {
		_ = l.SetDeadline(time.Time{})
		close(l.paused)
		l.paused = nil
	}
}

// Close closes the listener. Accept returns, also if it is paused.
func (l *pausable) Close() error {
	err := l.TCPListener.Close()
	l.resume()
	return err
}
