package poll

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Poller watches idle connections. It is safe for concurrent use.
type Poller struct {
	epoll *os.File
	done  sync.WaitGroup

	mu    sync.Mutex // also guards Place.number
	last  uint64
	conns map[uint64]Watched // by the number that events carry
}

// New returns a Poller, which the caller closes. On systems without epoll the error wraps
// errors.ErrUnsupported; connections can do without.
func New() (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // so that the runtime can wait for it
		syscall.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	p := &Poller{epoll: os.NewFile(uintptr(fd), "epoll"), conns: map[uint64]Watched{}}
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

// run calls Ready until the poller is closed.
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
			if w := p.take(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32); w != nil {
				w.Ready()
			}
		}
	}
}

// Watch has w.Ready called once, when something has arrived at socket or its other side has gone.
// place is that of the connection. Watch returns false if the connection cannot be watched; Ready can
// be called before it returns.
func (p *Poller) Watch(place *Place, socket syscall.RawConn, w Watched) bool {
	if socket == nil {
		return false
	}
	p.mu.Lock()
	op := syscall.EPOLL_CTL_MOD
	if place.number == 0 {
		p.last++
		place.number, op = p.last, syscall.EPOLL_CTL_ADD
	}
	number := place.number
	p.conns[number] = w
	p.mu.Unlock()

	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(uint32(number)),
		Pad:    int32(uint32(number >> 32)),
	}
	if p.control(socket, op, &event) == nil {
		return true
	}
	p.Forget(place)
	return false
}

func (p *Poller) control(socket syscall.RawConn, op int, event *syscall.EpollEvent) error {
	epoll, err := p.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var inner, failed error
	outer := epoll.Control(func(epollFD uintptr) {
		inner = socket.Control(func(fd uintptr) {
			failed = syscall.EpollCtl(int(epollFD), op, int(fd), event)
		})
	})
	return errors.Join(outer, inner, failed)
}

// Forget ends the watch of the connection that has place, if there is one. It is called when the
// connection is closed, before or after that. A call of Ready can be under way.
func (p *Poller) Forget(place *Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, place.number)
}

// take returns the connection with that number, and stops watching it.
func (p *Poller) take(number uint64) Watched {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.conns[number]
	delete(p.conns, number)
	return w
}
