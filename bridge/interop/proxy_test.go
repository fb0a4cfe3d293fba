//go:build interop

package interop

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy passes TCP connections on to another address. It can cut what it carries, as the
// end of a machine would.
type proxy struct {
	address     string
	connections atomic.Int64 // so far
	to          string
	heard       io.Writer

	mu   sync.Mutex
	open map[net.Conn]bool
}

// newProxy has heard written whatever passes, in either direction, before it goes on: who
// is told of it can count on that.
func newProxy(t *testing.T, to string, heard io.Writer) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), to: to, heard: heard, open: make(map[net.Conn]bool)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			p.connections.Add(1)
			running.Go(func() { p.carry(front) })
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() }) // both sides of each connection have ended by then
	return p
}

// carry copies both ways until one side ends.
func (p *proxy) carry(front net.Conn) {
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
			_, _ = io.Copy(way[1], io.TeeReader(way[0], p.heard))
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
