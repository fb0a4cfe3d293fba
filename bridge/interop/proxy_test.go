//go:build interop

package interop

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy forwards TCP connections to another address. It can reset them, like the crash of a
// machine.
type proxy struct {
	address     string
	connections atomic.Int64 // so far
	to          string
	tap         io.Writer

	mu   sync.Mutex
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
	back, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	p.mu.Lock()
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

// cut resets all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for front := range p.open {
		front.Close()
	}
}
