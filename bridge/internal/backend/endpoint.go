package backend

import (
	"context"
	"errors"
	"io"
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

	// Guarded by core.mu.
	status   Status
	failed   *Error    // why the last attempt failed; nil if it did not, or is the first
	failedAt time.Time // when it did
}

// run connects, serves the connection and connects again, until the socket is closed or the
// endpoint has refused.
func (e *endpoint) run() {
	wait := backoff{first: e.d.o.Backoff, most: e.d.o.MaxBackoff, rand: e.d.o.Rand}
	hangUps := 0
	for attempt := 1; ; attempt++ {
		conn, took, err := e.connect()
		switch {
		case err == nil:
			hangUps = 0
			wait.lasted(e.serve(conn, took, attempt > 1))
		case e.d.core.ctx.Err() != nil:
		case attempt > 1 && hungUp(err) && hangUps+1 < maxHangUps:
			hangUps++
			e.change(Waiting, err)
		case err.Kind == KindRefused:
			e.change(Refused, err)
			e.d.refused(err)
			return
		default:
			hangUps = 0
			e.change(Waiting, err)
		}
		if !wait.sleep(e.d.core.ctx) {
			e.change(Gone, nil)
			return
		}
		e.change(Connecting, nil)
	}
}

// connect makes one attempt and returns how long it took.
func (e *endpoint) connect() (*zmtp.Conn, time.Duration, *Error) {
	d := e.d
	started := time.Now()
	o := d.o.connection(d.o.ConnectTimeout)
	o.Permit = e.Permit
	conn, err := d.o.dial(d.core.ctx, e.Address, e.Security, o)
	if err != nil {
		return nil, 0, newError(e.status.Position, err)
	}
	return conn, time.Since(started), nil
}

// serve runs a connection until it is lost, and returns how long it lasted.
func (e *endpoint) serve(conn *zmtp.Conn, took time.Duration, again bool) time.Duration {
	c := e.d.core
	started := time.Now()
	err := c.serve(&peer{core: c, conn: conn, owner: owner{address: e.Address}}, func() {
		c.mu.Lock()
		e.status.Handshake = took
		if again {
			e.status.Reconnects++
		}
		c.mu.Unlock()
		e.change(Connected, nil)
	})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if c.ctx.Err() == nil {
		e.change(Waiting, err)
	}
	return time.Since(started)
}

// change sets a new state and reports it. Connecting keeps the error of the last attempt.
func (e *endpoint) change(s State, err error) {
	c := e.d.core
	c.mu.Lock()
	e.status.State, e.status.Since = s, time.Now()
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
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
