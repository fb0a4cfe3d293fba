package main

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

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

// keep returns those of the listeners whose address cannot change without a restart, as they are after this process
// has closed its own: clients wait there while nobody accepts them. letGo closes them.
func (p *process) keep() (kept []takeover.Listener, letGo func()) {
	var files []*os.File
	for _, l := range p.open {
		tcp, ok := l.Conn.(interface{ File() (*os.File, error) })
		if _, unix := l.Conn.(*net.UnixListener); !ok || unix { // whose file ends with the process
			continue
		}
		if f, err := tcp.File(); err == nil {
			files = append(files, f)
			kept = append(kept, takeover.Listener{Name: l.Name, Conn: f})
		}
	}
	return kept, func() {
		for _, f := range files {
			_ = f.Close()
		}
	}
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
