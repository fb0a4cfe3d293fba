//go:build interop

package interop

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy forwards TCP connections to another address. It can reset them, like the crash of a
// machine. Without an address it closes what it has accepted, as docker-proxy, ssh -L and
// Kubernetes services do while their target is away.
type proxy struct {
	address     string
	connections atomic.Int64 // so far
	closed      atomic.Int64 // of these, while there was no address
	tap         io.Writer

	mu   sync.Mutex
	to   string
	open map[net.Conn]bool
}

// newProxy returns a proxy that copies everything that passes, in either direction, to tap before
// it forwards it.
func newProxy(t *testing.T, to string, tap io.Writer) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), to: to, tap: tap, open: make(map[net.Conn]bool)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			p.connections.Add(1)
			running.Go(func() { p.forward(front) })
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() }) // by then both sides of each connection are closed
	return p
}

// forward copies in both directions until one side closes.
func (p *proxy) forward(front net.Conn) {
	defer front.Close()
	p.mu.Lock()
	to := p.to
	p.mu.Unlock()
	if to == "" {
		p.closed.Add(1)
		return
	}
	back, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	p.mu.Lock()
	if p.to != to {
		front.Close()
		back.Close()
	}
	p.open[front] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.open, front)
		p.mu.Unlock()
	}()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{front, back}, {back, front}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], io.TeeReader(way[0], p.tap))
			front.Close()
			back.Close()
		})
	}
	both.Wait()
}

// leads makes the proxy forward to an endpoint, or with "" to none, and resets all connections.
func (p *proxy) leads(endpoint string) {
	p.mu.Lock()
	p.to = strings.TrimPrefix(endpoint, "tcp://")
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) endpoint() string { return "tcp://" + p.address }

// turnsAway waits until n connections were closed because it has no address.
func (p *proxy) turnsAway(t *testing.T, n int64) {
	t.Helper()
	until := p.closed.Load() + n
	for deadline := time.Now().Add(patience); p.closed.Load() < until; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nobody tries: %d connections were closed, want %d", p.closed.Load(), until)
		}
	}
}

// cut resets all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for front := range p.open {
		front.Close()
	}
}
