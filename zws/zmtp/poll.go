package zmtp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/poll"
)

// polled is what a connection needs whose user waits for many connections at once, instead of in
// ReadFrame.
type polled struct {
	wake  func()    // the user has to look at the connection
	heard time.Time // when Poll has last read something, or Idle was called after that
	fresh bool      // Poll has read something since Idle was called

	due     atomic.Bool // timer has woken the user
	mu      sync.Mutex
	timer   *time.Timer // wakes when the peer may have been silent for too long; nil if not needed yet
	stopped bool
}

// wakeAfter calls wake after d.
func (p *polled) wakeAfter(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopped:
	case p.timer == nil:
		p.timer = time.AfterFunc(d, func() { p.due.Store(true); p.wake() })
	default:
		p.timer.Reset(d)
	}
}

// Socket returns the socket of the connection, for waiting until something has arrived; nil if it
// has none. It must not be read, written or changed.
func (c *Conn) Socket() syscall.RawConn { return c.direct }

// Polled makes the connection one that is read by Poll; the reading goroutine calls it. wake is
// called, by any goroutine, when Poll can have an error to return although nothing has arrived: the
// connection was closed, or the peer was silent for too long. It must not block. The reading
// goroutine calls yield before it waits to answer a PING.
func (c *Conn) Polled(wake, yield func()) {
	c.yield = yield
	p := &polled{wake: wake, heard: time.Now()}
	c.polled.Store(p)
	if c.in.patience > 0 {
		p.wakeAfter(c.in.patience)
	}
}

// Poll reads what has arrived and does not wait. After it, ReadFrame returns the frames for which
// Buffered is true. more reports that there may be more to read. Errors are those of ReadFrame.
func (c *Conn) Poll() (more bool, err error) {
	if c.incoming.err != nil {
		return false, c.incoming.err
	}
	p := c.polled.Load()
	more, err = c.in.poll(c.direct)
	switch {
	case err == nil:
		p.fresh = true
		if c.in.patience > 0 {
			p.heard = time.Now()
		}
		if p.due.Load() && p.due.Swap(false) {
			p.wakeAfter(c.in.patience)
		}
		return more, nil
	case err == poll.ErrAgain:
		if err = c.silent(p); err == nil {
			return false, nil
		}
	default:
		err = c.in.unexpected(&transportError{err: err}, len(c.in.peek()) > 0)
	}
	c.incoming.err = c.lost(err)
	return false, c.incoming.err
}

// Partial reports whether the next frame is one that Poll does not read whole, because it is longer
// than the read buffer: ReadFrame waits for it.
func (c *Conn) Partial() bool {
	h, ok, err := parseHeader(c.in.peek())
	return err == nil && ok && h.size > int64(c.in.max-h.length)
}

// Idle is called when nothing is Buffered and Poll is called next when something has arrived. An
// idle connection keeps no buffer.
func (c *Conn) Idle() {
	c.in.release()
	p := c.polled.Load()
	if p.fresh && c.in.patience > 0 { // what the user did meanwhile is no silence of the peer
		p.heard = time.Now()
	}
	p.fresh = false
}

// silent returns an error if the peer was silent for too long, and otherwise has the user called
// again when it will have been.
func (c *Conn) silent(p *polled) error {
	if c.in.patience <= 0 {
		return nil
	}
	left := c.in.patience - time.Since(p.heard)
	if left <= 0 {
		return fmt.Errorf("%w: nothing received for %v", ErrSilent, c.in.patience)
	}
	p.wakeAfter(left)
	return nil
}

// closed tells the user of a polled connection that it was closed.
func (c *Conn) closed() {
	if p := c.polled.Load(); p != nil {
		p.wake()
	}
}

// stopPolling stops the timer.
func (c *Conn) stopPolling() {
	if p := c.polled.Load(); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stopped = true
		if p.timer != nil {
			p.timer.Stop()
		}
	}
}

// pollBuffer is the size of the buffer of a polled connection that is in use.
const pollBuffer = 16 << 10

var pollBuffers = sync.Pool{New: func() any { b := make([]byte, pollBuffer); return &b }}

// poll reads once without waiting.
func (r *reader) poll(s syscall.RawConn) (more bool, err error) {
	if size := min(pollBuffer, r.max); r.start == r.end && len(r.buf) < size {
		r.pooled = pollBuffers.Get().(*[]byte)
		r.buf, r.start, r.end = (*r.pooled)[:size], 0, 0
	}
	r.makeRoom(r.start == 0 && r.end == len(r.buf))
	n, err := poll.Read(s, r.buf[r.end:])
	if n == 0 {
		return false, err
	}
	r.end += n
	return r.end == len(r.buf), nil
}

// release gives the buffer back if it is empty.
func (r *reader) release() {
	r.large = nil
	if r.start < r.end {
		return
	}
	if r.pooled != nil {
		pollBuffers.Put(r.pooled)
	}
	r.pooled, r.buf, r.start, r.end, r.filled = nil, nil, 0, 0, false
}
