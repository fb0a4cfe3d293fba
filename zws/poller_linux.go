package zws

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// Poller waits for what idle clients send, so that none of them needs a goroutine. All
// connections of a server share one. It is safe for concurrent use.
type Poller struct {
	epoll *os.File
	done  sync.WaitGroup

	mu    sync.Mutex // also guards Conn.watched
	last  uint64
	conns map[uint64]*Conn // that are watched, by the number that events carry
}

// NewPoller returns a Poller, which the caller closes. On systems without epoll the error
// wraps errors.ErrUnsupported; connections can do without.
func NewPoller() (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("zws: epoll_create1: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // so that the runtime can wait for it
		syscall.Close(fd)
		return nil, fmt.Errorf("zws: epoll: %w", err)
	}
	p := &Poller{epoll: os.NewFile(uintptr(fd), "epoll"), conns: map[uint64]*Conn{}}
	p.done.Go(p.run)
	return p, nil
}

// Close ends the poller, which can be nil. All connections that use it must be closed before.
func (p *Poller) Close() error {
	if p == nil {
		return nil
	}
	err := p.epoll.Close()
	p.done.Wait()
	return err
}

// run resumes connections until the poller is closed.
func (p *Poller) run() {
	events := make([]syscall.EpollEvent, 128)
	epoll, err := p.epoll.SyscallConn()
	for err == nil {
		n := 0
		err = epoll.Read(func(fd uintptr) (done bool) {
			n, _ = syscall.EpollWait(int(fd), events, 0) // an error counts as no event
			return n > 0
		})
		for _, e := range events[:max(n, 0)] {
			if c := p.take(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32); c != nil {
				c.resume()
			}
		}
	}
}

// watch resumes c once, when its client has sent something or has gone. It returns false if
// the connection cannot be watched.
func (p *Poller) watch(c *Conn) bool {
	conn := fileOf(c.wire.Conn)
	if conn == nil {
		return false
	}
	p.mu.Lock()
	op := syscall.EPOLL_CTL_MOD
	if c.watched == 0 {
		p.last++
		c.watched, op = p.last, syscall.EPOLL_CTL_ADD
	}
	id := c.watched
	p.conns[id] = c
	p.mu.Unlock()

	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(uint32(id)),
		Pad:    int32(uint32(id >> 32)),
	}
	err := p.control(conn, op, &event)
	return err == nil
}

func (p *Poller) control(conn syscall.RawConn, op int, event *syscall.EpollEvent) error {
	epoll, err := p.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var inner, failed error
	outer := epoll.Control(func(epollFD uintptr) {
		inner = conn.Control(func(fd uintptr) {
			failed = syscall.EpollCtl(int(epollFD), op, int(fd), event)
		})
	})
	return errors.Join(outer, inner, failed)
}

// forget stops watching c.
func (p *Poller) forget(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c.watched)
}

// take returns the connection that is watched by that number, and stops watching it.
func (p *Poller) take(id uint64) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.conns[id]
	delete(p.conns, id)
	return c
}

// fileOf returns the socket below conn and its wrappers; nil if there is none.
func fileOf(conn any) syscall.RawConn {
	for {
		switch c := conn.(type) {
		case syscall.Conn:
			raw, err := c.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		case interface{ NetConn() net.Conn }: // TLS
			conn = c.NetConn()
		case interface{ Raw() net.Conn }: // PROXY protocol
			conn = c.Raw()
		default:
			return nil
		}
	}
}
