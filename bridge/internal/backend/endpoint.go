package backend

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// endpoint keeps one connection of a socket up.
type endpoint struct {
	Endpoint
	d *dialer

	ctx    context.Context // ends with the endpoint
	cancel context.CancelFunc
	done   chan struct{} // closed when it is not connected any more, for good
	after  []*endpoint   // are to be closed before the first attempt

	hurried chan struct{} // status.Next is earlier than it was

	// Guarded by core.mu, as Endpoint.
	removed bool  // from the list
	known   bool  // has been connected
	peer    *peer // while it is connected
	status  Status

	begun, ended int       // number of attempts
	begunAt      time.Time // when the last one began
	failed       *Error    // why the last one to end failed; nil if it did not
	failedAt     time.Time // when it did
	final        bool      // it is not tried again

	used zmtp.ClientSecurity // by the last attempt that has ended

	backoff time.Duration // the wait before the next attempt; only the goroutine that connects or reads uses it
}

// start starts the goroutine that connects. core.running counts the endpoint until end.
func (e *endpoint) start() {
	e.d.core.running.Add(1)
	go func() {
		if e.wait() {
			e.run()
		} else {
			e.end()
		}
	}()
}

// run connects, serves the connection and connects again, until the endpoint is removed or the
// socket is closed. It also returns when the connection was left to a poller: resume continues then.
func (e *endpoint) run() {
	for {
		e.begin()
		conn, took, err := e.connect()
		switch {
		case err == nil:
			if e.serve(conn, took) {
				return
			}
		case e.ctx.Err() != nil:
		case err.Kind == KindRefused:
			e.change(Refused, err)
		default:
			e.change(Waiting, err)
		}
		if !e.pause(err != nil && err.Kind == KindRefused) {
			e.end()
			return
		}
	}
}

// resume serves a connection again that was left to a poller. In the end it does what run does.
func (e *endpoint) resume(p *peer) {
	err := e.d.core.read(p)
	if err == errParked {
		return
	}
	e.lost(err)
	if e.pause(false) {
		e.run()
	} else {
		e.end()
	}
}

// begin begins an attempt. The first one is not an event.
func (e *endpoint) begin() {
	c := e.d.core
	c.mu.Lock()
	e.begun++
	e.begunAt = time.Now()
	first := e.begun == 1
	c.mu.Unlock()
	if !first {
		e.change(Connecting, nil)
	}
}

// end reports that the endpoint was removed or the socket closed.
func (e *endpoint) end() {
	e.cancel()
	c := e.d.core
	c.mu.Lock()
	e.d.leaving = slices.DeleteFunc(e.d.leaving, func(other *endpoint) bool { return other == e })
	c.mu.Unlock()
	e.change(Gone, nil)
	close(e.done)
	c.running.Done()
}

// connect makes one attempt and returns how long it took.
func (e *endpoint) connect() (*zmtp.Conn, time.Duration, *Error) {
	d := e.d
	started := time.Now()
	d.core.mu.Lock()
	o, to, again := d.o.connection(d.o.ConnectTimeout), e.Endpoint, e.begun > 1
	d.core.mu.Unlock()
	o.Permit = to.Permit
	var conn *zmtp.Conn
	var err error
	if again && to.Renew != nil {
		to.Security, err = to.Renew()
	}
	if err == nil {
		conn, err = d.o.dial(e.ctx, to.Address, to.Security, o)
	}
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	e.used = to.Security
	if err != nil {
		return nil, 0, newError(e.status.Position, err)
	}
	e.Security = to.Security
	return conn, time.Since(started), nil
}

// serve runs a connection until it is lost. It returns true if the connection was left to a poller before.
func (e *endpoint) serve(conn *zmtp.Conn, took time.Duration) (parked bool) {
	c := e.d.core
	p := &peer{core: c, conn: conn, owner: owner{address: e.Address}}
	if c.o.Poller != nil && !e.d.shared {
		p.endpoint = e
	}
	err := c.serve(p, func() {
		c.mu.Lock()
		e.status.Handshake = took
		if e.begun > 1 || e.known {
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
	if err != errParked {
		e.lost(err)
	}
	return err == errParked
}

// lost notes that the connection was lost.
func (e *endpoint) lost(err error) {
	c := e.d.core
	c.mu.Lock()
	e.peer = nil
	if e.status.State == Connected && time.Since(e.status.Since) >= settled {
		e.backoff = 0
	}
	over := e.removed || c.closing
	c.mu.Unlock()
	if over {
		e.cancel() // it is not connected again, and not reported as lost
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if e.ctx.Err() == nil {
		e.change(Waiting, err)
	}
}

// change sets a new state and reports it. Connecting keeps the error of the last attempt.
func (e *endpoint) change(s State, err error) {
	c := e.d.core
	c.mu.Lock()
	e.status.State, e.status.Since, e.status.Next = s, time.Now(), time.Time{}
	if s != Connecting {
		e.ended = e.begun
		e.status.Err = err
		if e.failed, _ = err.(*Error); e.failed != nil {
			e.failedAt = e.status.Since
			e.final = e.d.o.HonorError && isRefusal(err)
		}
	}
	status, login, group := e.status, e.used, e.d.o.Group
	if group != nil {
		group.note(e, s == Waiting || s == Refused)
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	if c.o.Event != nil {
		c.o.Event(status)
	}
	if group != nil && s == Connected && status.Reconnects == 0 {
		group.accepted(status.Address, login)
	}
}

// minRetry is the least time between the begin of an attempt and of one that a newcomer asks
// for.
const minRetry = time.Second

// hurry lets the next attempt begin at once, or minRetry after the last one began, and returns
// its number; that of the last one if it is under way or was successful, or if there will not
// be another. Lock held on entry.
func (e *endpoint) hurry() (attempt int) {
	if s := e.status.State; s != Waiting && s != Refused || e.final {
		return e.begun
	}
	next := e.begunAt.Add(minRetry)
	if now := time.Now(); next.Before(now) {
		next = now
	}
	if e.status.Next.IsZero() || next.Before(e.status.Next) {
		e.status.Next = next
		select {
		case e.hurried <- struct{}{}:
		default:
		}
	}
	return e.begun + 1
}

// pause waits until the next attempt is due, which is after the back-off unless somebody hurries it,
// and returns true; false once the endpoint is removed or the socket closed. It does not end
// before that if the endpoint has refused and no attempt is due: no client wants one, or it was
// the last. refused reports that the last attempt was refused.
func (e *endpoint) pause(refused bool) bool {
	c := e.d.core
	c.mu.Lock()
	b := backoff{first: e.d.o.Backoff, most: e.d.o.MaxBackoff, rand: e.d.o.Rand, wait: e.backoff}
	wait := b.next(refused)
	e.backoff = b.wait
	if next := time.Now().Add(wait); e.status.Next.IsZero() || next.Before(e.status.Next) {
		e.status.Next = next
	}
	c.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		left, scheduled := e.left()
		switch {
		case !scheduled:
			timer.Stop()
		case left <= 0 && e.ctx.Err() == nil:
			return true
		default:
			timer.Reset(left)
		}
		select {
		case <-timer.C:
		case <-e.hurried:
		case <-e.ctx.Done():
			return false
		}
	}
}

// left returns how long it is until the next attempt.
func (e *endpoint) left() (left time.Duration, scheduled bool) {
	c := e.d.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.final || e.status.State == Refused && e.d.clients == 0 {
		e.status.Next = time.Time{}
		return 0, false
	}
	return time.Until(e.status.Next), true
}

// How long an endpoint that has refused is left alone: what was wrong must be put right by
// somebody, and some count failed logins.
const (
	minRefusedWait = time.Second
	maxRefusedWait = time.Minute
)

// settled is how long a connection must have lasted for the back-off to start again: one that
// is lost at once, again and again, must not be tried at the shortest interval for ever.
const settled = time.Second

// backoff is the wait between attempts.
type backoff struct {
	first, most time.Duration
	rand        func() float64
	wait        time.Duration // the next one, within the bounds
}

// next returns how long to wait for the next attempt after one that was refused or failed
// otherwise, or after a connection.
func (b *backoff) next(refused bool) time.Duration {
	least, most := b.first, b.most
	if refused {
		least, most = max(least, minRefusedWait), maxRefusedWait
	}
	b.wait = min(max(b.wait, least), most)
	wait := b.wait - time.Duration(b.rand()*float64(b.wait)/2)
	b.wait *= 2
	return wait
}
