package takeover

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Parent is the old process, as the new one sees it. All methods may be called concurrently. Listener, CloseUnused,
// Release, Failed, HandedOver and Left may be called on nil, which is a process that was started by itself.
type Parent struct {
	PID int

	pair     io.ReadWriteCloser
	released chan struct{} // closed once the old process has said so
	main     chan struct{} // likewise
	ended    chan struct{} // closed once it has ended
	left     atomic.Int64
	asked    sync.Once
	ready    atomic.Bool
	stopped  atomic.Int64 // when it stopped writing, in Unix nanoseconds; 0 if it was not asked to

	mu        sync.Mutex
	listeners map[string][]net.Listener // not used yet
}

func newParent(pid int, pair io.ReadWriteCloser, listeners map[string][]net.Listener) *Parent {
	p := &Parent{PID: pid, pair: pair, listeners: listeners,
		released: make(chan struct{}), main: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		listen(pair, func(word, argument string) {
			n, _ := strconv.ParseInt(argument, 10, 64)
			switch word {
			case wordReleased:
				p.stopped.Store(n)
				close(p.released)
			case wordMain:
				close(p.main)
			case wordLeft:
				p.left.Store(n)
			}
		})
		p.left.Store(0)
	}()
	return p
}

// Listener returns a listener of that name that was handed over and not used yet; nil if there is none.
// The caller closes it.
func (p *Parent) Listener(name string) net.Listener {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.listeners[name]
	if len(list) == 0 {
		return nil
	}
	p.listeners[name] = list[1:]
	if l, ok := list[0].(*net.UnixListener); ok {
		return &unixListener{UnixListener: l, ready: &p.ready}
	}
	return list[0]
}

// unixListener removes its file only if this process has come to serve: otherwise the old process still
// listens there.
type unixListener struct {
	*net.UnixListener
	unlink atomic.Bool
	ready  *atomic.Bool
}

// SetUnlinkOnClose sets whether Close removes the file, as that of net.UnixListener. At first it does not.
func (l *unixListener) SetUnlinkOnClose(unlink bool) { l.unlink.Store(unlink) }

// Close implements net.Listener.
func (l *unixListener) Close() error {
	l.UnixListener.SetUnlinkOnClose(l.unlink.Load() && l.ready.Load())
	return l.UnixListener.Close()
}

// CloseUnused closes the listeners that were not used: their clients would wait for nothing. It removes the files
// of their unix sockets, which the old process has left.
func (p *Parent) CloseUnused() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.listeners {
		for _, l := range list {
			if l, ok := l.(*net.UnixListener); ok {
				l.SetUnlinkOnClose(true)
			}
			_ = l.Close()
		}
	}
	p.listeners = nil
}

var errEnded = errors.New("the process that was to hand over has ended")

// Release has the old process close the files that one process only can have open, and returns when they are
// closed. Only the first call does anything. The files of a process that has ended are closed as well: then this
// one is all that is left, and goes on.
func (p *Parent) Release() {
	if p == nil {
		return
	}
	p.asked.Do(func() {
		_ = say(p.pair, wordRelease, "") // an error is the end of the process
		select {
		case <-p.released:
		case <-p.ended:
		}
	})
}

// Pause returns how long nothing has been written to the files that were released; 0 if none were.
func (p *Parent) Pause() time.Duration {
	if at := p.stopped.Load(); at != 0 {
		return time.Since(time.Unix(0, at))
	}
	return 0
}

// Ready reports that this process serves, and returns when it is the service's main process, or ctx is done.
func (p *Parent) Ready(ctx context.Context) error {
	p.ready.Store(true)
	if err := say(p.pair, wordReady, ""); err != nil {
		return err
	}
	select {
	case <-p.main:
		return nil
	case <-p.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Failed reports why this process cannot start.
func (p *Parent) Failed(err error) {
	if p != nil && err != nil {
		_ = say(p.pair, wordFailed, err.Error())
	}
}

// HandedOver reports that this process has handed over as well: then a crash of it leaves another one that serves.
func (p *Parent) HandedOver() {
	if p != nil {
		_ = say(p.pair, wordPassed, "") // an error is the end of the old process
	}
}

// Left returns how many connections the old process has left, as far as it has said.
func (p *Parent) Left() int {
	if p == nil {
		return 0
	}
	return int(p.left.Load())
}
