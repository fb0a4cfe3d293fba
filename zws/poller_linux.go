package zws

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// Poller waits for what idle clients send, so that none of them needs a goroutine of its
// own. All sessions of a server share one. It can be used by many goroutines.
type Poller struct {
	epoll *os.File
	done  sync.WaitGroup

	mu       sync.Mutex // also for Conn.watched
	last     uint64
	sessions map[uint64]*Conn // those watched, by Conn.watched, which events carry
}

// NewPoller makes a Poller, which the caller closes. On systems without epoll it fails
// with errors.ErrUnsupported; sessions then do without.
func NewPoller() (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("zws: epoll_create1: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // lets the runtime wait for it
		syscall.Close(fd)
		return nil, fmt.Errorf("zws: epoll: %w", err)
	}
	p := &Poller{epoll: os.NewFile(uintptr(fd), "epoll"), sessions: map[uint64]*Conn{}}
	p.done.Go(p.run)
	return p, nil
}

// Close ends the poller, when all sessions that use it are closed.
func (p *Poller) Close() error {
	err := p.epoll.Close()
	p.done.Wait()
	return err
}

// run resumes sessions until the poller is closed.
func (p *Poller) run() {
	events := make([]syscall.EpollEvent, 128)
	epoll, err := p.epoll.SyscallConn()
	for err == nil {
		n := 0
		err = epoll.Read(func(fd uintptr) (done bool) {
			n, _ = syscall.EpollWait(int(fd), events, 0) // an error is like no event
			return n > 0
		})
		for _, e := range events[:max(n, 0)] {
			if s := p.take(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32); s != nil {
				s.resume()
			}
		}
	}
}

// watch has s resumed, once, when its client has sent something or gone. False means that
// the connection cannot be watched.
func (p *Poller) watch(s *Conn) bool {
	conn := fileOf(s.wire.Conn)
	if conn == nil {
		return false
	}
	p.mu.Lock()
	op := syscall.EPOLL_CTL_MOD
	if s.watched == 0 {
		p.last++
		s.watched, op = p.last, syscall.EPOLL_CTL_ADD
	}
	id := s.watched
	p.sessions[id] = s
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

// forget ends what watch has begun.
func (p *Poller) forget(s *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s.watched)
}

// take returns the session that is watched by that name, and forgets it.
func (p *Poller) take(id uint64) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessions[id]
	delete(p.sessions, id)
	return s
}

// fileOf is the socket below conn, whatever is wrapped around it; nil if there is none.
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
