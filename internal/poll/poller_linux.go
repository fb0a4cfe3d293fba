package poll

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Poller watches connections by loops, each of which is one goroutine with an epoll instance: one
// for every two processors. It is safe for concurrent use.
type Poller struct {
	loops []*loop
	next  atomic.Uint32
	done  sync.WaitGroup // loops
}

// loop serves a share of the connections. The goroutine that knows the present term leads it.
type loop struct {
	poller *Poller
	epoll  *os.File
	raw    syscall.RawConn
	wait   func(fd uintptr) (done bool)
	found  int // by wait

	mu      sync.Mutex
	term    uint64
	closed  bool
	events  [128]syscall.EpollEvent
	at, n   int // events[at:n] are to be handled
	last    uint64
	watches map[uint64]*Watch // by the number that events carry

	// What the watchdog looks at.
	dog     *time.Timer
	armed   bool
	waiting bool   // for events
	turns   uint64 // that were begun
	seen    uint64
}

// stall is how long a turn can keep the loop. What waits yields before; this is for what waits
// unexpectedly.
const stall = 10 * time.Millisecond

// New returns a Poller, which the caller closes. On systems without epoll the error wraps
// errors.ErrUnsupported; connections can do without.
func New() (*Poller, error) {
	p := new(Poller)
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		l, err := newLoop(p)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.loops = append(p.loops, l)
		p.done.Add(1)
		go l.lead(l.term)
	}
	return p, nil
}

func newLoop(p *Poller) (*loop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // so that the runtime can wait for it
		syscall.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l := &loop{poller: p, epoll: os.NewFile(uintptr(fd), "epoll"), term: 1, watches: make(map[uint64]*Watch)}
	l.wait = func(fd uintptr) bool {
		l.found, _ = syscall.EpollWait(int(fd), l.events[:], 0) // an error counts as no event
		return l.found > 0
	}
	if l.raw, err = l.epoll.SyscallConn(); err != nil {
		return nil, errors.Join(err, l.epoll.Close())
	}
	l.dog = time.AfterFunc(time.Hour, l.check)
	l.dog.Stop()
	return l, nil
}

// Close ends the loops. All connections that are watched must have ended before.
func (p *Poller) Close() error {
	var err error
	for _, l := range p.loops {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.dog.Stop()
		err = errors.Join(err, l.epoll.Close())
	}
	p.done.Wait()
	return err
}

// Watch has turn called in a goroutine of its own at first, and then by a loop whenever something
// has arrived at conn. An error means that the system cannot watch it, and that turn is not called.
// The watch ends when turn returns false.
func (p *Poller) Watch(conn syscall.RawConn, turn Turn) (*Watch, error) {
	l := p.loops[int(p.next.Add(1))%len(p.loops)]
	w := &Watch{loop: l, raw: conn, turn: turn}
	w.state.Store(running)
	l.mu.Lock()
	l.last++
	w.id = l.last
	l.watches[w.id] = w
	l.mu.Unlock()
	if err := w.control(syscall.EPOLL_CTL_ADD, arrivals); err != nil {
		w.forget()
		return nil, err
	}
	go w.run(0)
	return w, nil
}

// arrivals are the events that are watched for. Edges suffice, since a turn reads until nothing is
// left. With levels the kernel would report an epoll instance that the runtime watches as ready
// once more after each event.
const arrivals = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

func (w *Watch) control(op int, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: int32(uint32(w.id)), Pad: int32(uint32(w.id >> 32))}
	var inner, failed error
	outer := w.loop.raw.Control(func(epoll uintptr) {
		inner = w.raw.Control(func(fd uintptr) {
			failed = syscall.EpollCtl(int(epoll), op, int(fd), &event)
		})
	})
	return errors.Join(outer, inner, failed)
}

// Detach is Yield for a turn that reads by waiting: what arrives does not concern the loop until
// it has returned.
func (w *Watch) Detach() {
	w.Yield()
	if !w.detached {
		w.detached = true
		_ = w.control(syscall.EPOLL_CTL_MOD, unix.EPOLLET) // fails on a closed connection only
	}
}

// attach ends Detach. The kernel reports what has arrived meanwhile.
func (w *Watch) attach() {
	if w.detached {
		w.detached = false
		_ = w.control(syscall.EPOLL_CTL_MOD, arrivals) // who closes the connection wakes it
	}
}

func (w *Watch) forget() {
	w.loop.mu.Lock()
	defer w.loop.mu.Unlock()
	delete(w.loop.watches, w.id)
}

// lead calls the turns of connections where something has arrived, until another goroutine has
// taken over or the poller is closed.
func (l *loop) lead(term uint64) {
	for {
		w, ended := l.take(term)
		if w == nil {
			if ended {
				l.poller.done.Done()
			}
			return
		}
		w.run(term)
	}
}

// take waits for the next connection that has a turn. It returns nil when another goroutine leads
// the loop, or the loop has ended.
func (l *loop) take(term uint64) (w *Watch, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.term == term {
		for l.at < l.n {
			e := &l.events[l.at]
			l.at++
			state := running
			if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
				state = again
			}
			w := l.watches[uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32]
			if w != nil && w.claim(state) {
				l.turns++
				return w, false
			}
		}
		if l.closed {
			return nil, true
		}
		l.poll()
	}
	return nil, false
}

// poll waits for events. Lock held on entry and on return.
func (l *loop) poll() {
	l.waiting = true
	l.mu.Unlock()
	err := l.raw.Read(l.wait)
	l.mu.Lock()
	l.waiting = false
	l.at, l.n = 0, max(l.found, 0)
	if err != nil {
		l.n, l.closed = 0, true
	}
	if !l.armed && !l.closed {
		l.armed = true
		l.dog.Reset(stall)
	}
}

// yield has another goroutine lead the loop, if the one with that term does.
func (l *loop) yield(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.term == term {
		l.replace()
	}
}

// replace starts another goroutine that leads the loop. Lock held on entry.
func (l *loop) replace() {
	l.term++
	go l.lead(l.term)
}

// check is the watchdog. It runs only while the loop has something to do.
func (l *loop) check() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.armed = !l.waiting && !l.closed; !l.armed {
		return
	}
	if l.turns == l.seen {
		l.replace()
	}
	l.seen = l.turns
	l.dog.Reset(stall)
}
