package backend

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// maxHangUps is how many times in a row an endpoint may close the connection during the login
// before that counts as a refusal. In the very first attempt once is enough. Later a backend
// that is shutting down, or a forwarder before one that restarts, does the same.
const maxHangUps = 3

// endpoint keeps one connection of a socket up.
type endpoint struct {
	Endpoint
	d *dialer

	ctx    context.Context // ends with the endpoint
	cancel context.CancelFunc
	done   chan struct{} // closed when it is not connected any more, for good
	after  []*endpoint   // are to be closed before the first attempt

	// Guarded by core.mu, as Endpoint.
	removed  bool  // from the list
	known    bool  // has been connected
	peer     *peer // while it is connected
	status   Status
	failed   *Error    // why the last attempt failed; nil if it did not, or is the first
	failedAt time.Time // when it did
}

// run connects, serves the connection and connects again, until the socket is closed or the
// endpoint has refused.
func (e *endpoint) run() {
	defer e.end()
	if !e.wait() {
		return
	}
	wait := backoff{first: e.d.o.Backoff, most: e.d.o.MaxBackoff, rand: e.d.o.Rand, due: e.due}
	hangUps := 0
	for attempt := 1; ; attempt++ {
		conn, took, err := e.connect()
		switch {
		case err == nil:
			hangUps = 0
			wait.lasted(e.serve(conn, took, attempt > 1))
		case e.ctx.Err() != nil:
		case attempt > 1 && hungUp(err) && hangUps+1 < maxHangUps:
			hangUps++
			e.change(Waiting, err)
		case err.Kind == KindRefused:
			e.change(Refused, err)
			e.d.refused(err)
			<-e.ctx.Done()
			return
		default:
			hangUps = 0
			e.change(Waiting, err)
		}
		if !wait.sleep(e.ctx) {
			return
		}
		e.change(Connecting, nil)
	}
}

// end reports that the endpoint was removed or the socket closed.
func (e *endpoint) end() {
	e.cancel()
	c := e.d.core
	c.mu.Lock()
	e.d.leaving = slices.DeleteFunc(e.d.leaving, func(other *endpoint) bool { return other == e })
	over := e.status.State == Refused && !e.removed
	c.mu.Unlock()
	if !over {
		e.change(Gone, nil)
	}
	close(e.done)
}

// due notes when the next attempt is due.
func (e *endpoint) due(next time.Time) {
	e.d.core.mu.Lock()
	defer e.d.core.mu.Unlock()
	e.status.Next = next
}

// connect makes one attempt and returns how long it took.
func (e *endpoint) connect() (*zmtp.Conn, time.Duration, *Error) {
	d := e.d
	started := time.Now()
	d.core.mu.Lock()
	o, address, security := d.o.connection(d.o.ConnectTimeout), e.Address, e.Security
	o.Permit = e.Permit
	d.core.mu.Unlock()
	conn, err := d.o.dial(e.ctx, address, security, o)
	if err != nil {
		d.core.mu.Lock()
		defer d.core.mu.Unlock()
		return nil, 0, newError(e.status.Position, err)
	}
	return conn, time.Since(started), nil
}

// serve runs a connection until it is lost, and returns how long it lasted.
func (e *endpoint) serve(conn *zmtp.Conn, took time.Duration, again bool) time.Duration {
	c := e.d.core
	started := time.Now()
	p := &peer{core: c, conn: conn, owner: owner{address: e.Address}}
	err := c.serve(p, func() {
		c.mu.Lock()
		e.status.Handshake = took
		if again || e.known {
			e.status.Reconnects++
		}
		e.known, e.peer = true, p
		removed := e.removed // before there was a peer to drain
		c.mu.Unlock()
		e.change(Connected, nil)
		if removed {
			e.remove()
		}
	})
	c.mu.Lock()
	e.peer = nil
	removed := e.removed
	c.mu.Unlock()
	if removed {
		e.cancel() // it is not connected again
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if e.ctx.Err() == nil {
		e.change(Waiting, err)
	}
	return time.Since(started)
}

// change sets a new state and reports it. Connecting keeps the error of the last attempt.
func (e *endpoint) change(s State, err error) {
	c := e.d.core
	c.mu.Lock()
	e.status.State, e.status.Since, e.status.Next = s, time.Now(), time.Time{}
	if s != Connecting {
		e.status.Err = err
		if e.failed, _ = err.(*Error); e.failed != nil {
			e.failedAt = e.status.Since
		}
	}
	status := e.status
	c.changed.Broadcast()
	c.mu.Unlock()
	if c.o.Event != nil {
		c.o.Event(status)
	}
}

// hungUp reports whether the peer closed the connection when its answer was due, which can
// have many reasons.
func hungUp(err error) bool {
	return errors.Is(err, zmtp.ErrClosedBeforeWelcome) || errors.Is(err, zmtp.ErrClosedDuringLogin)
}

// backoff is the wait between attempts.
type backoff struct {
	first, most time.Duration
	rand        func() float64
	due         func(time.Time) // if not nil, is told when the wait will be over
	next        time.Duration
}

// lasted resets the wait after a connection that has lasted long enough: one that is lost at
// once, again and again, must not be tried at the shortest interval for ever.
func (b *backoff) lasted(d time.Duration) {
	if d >= b.most {
		b.next = 0
	}
}

// sleep waits, and reports whether ctx is still alive.
func (b *backoff) sleep(ctx context.Context) bool {
	if b.next == 0 {
		b.next = b.first
	}
	wait := b.next - time.Duration(b.rand()*float64(b.next)/2)
	b.next = min(2*b.next, b.most)
	if b.due != nil {
		b.due(time.Now().Add(wait))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
