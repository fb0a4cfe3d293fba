package zmtp

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/poll"
)

// parking is what a connection needs that a poller watches while it is idle.
type parking struct {
	mu     sync.Mutex // held while the connection is left to the poller, or taken back
	poller *poll.Poller
	place  poll.Place
	user   poll.Watched // nil: the connection is not parked
	timer  *time.Timer  // resumes the connection when the peer is silent for too long; nil if not needed yet
}

// Idle waits as Await does, but gives up if nothing arrives for about so long: between half and the whole
// of it. It then returns true, and the caller can Park the connection. It returns false when the next
// ReadFrame has something to read, or an error to return; and it never gives up on a connection that
// cannot be parked, or inside a message.
func (c *Conn) Idle(patience time.Duration) bool {
	in := &c.incoming
	for !c.Buffered() {
		var err error
		idle := false
		switch {
		case c.direct == nil || in.frames > 0 || len(c.in.peek()) > 0 && !c.commandBegun():
			c.Await()
			return false
		case len(c.in.peek()) > 0:
			err = c.in.unexpected(c.in.fill(), true)
		default:
			idle, err = c.in.idle(patience)
		}
		if err != nil {
			in.err = c.lost(err)
		} else if idle {
			return true
		}
	}
	return false
}

// commandBegun reports whether what has arrived of a frame can be that of a command, which Buffered
// handles: ReadFrame would wait for the frame after it.
func (c *Conn) commandBegun() bool {
	h, ok, err := parseHeader(c.in.peek())
	return err == nil && (!ok || h.command && h.size <= int64(c.in.max-h.length) && c.checkSize(h) == nil)
}

// idle is fill for what may be a long time coming. It returns true if nothing came.
func (r *reader) idle(patience time.Duration) (bool, error) {
	now := time.Now()
	if r.silent.IsZero() {
		r.silent = now
	}
	final := r.patience > 0 && r.silenceEnds().Sub(now) < 2*patience // it is not worth parking
	switch {
	case final:
		r.until = time.Time{}
		_ = r.nc.SetReadDeadline(now.Add(max(r.silenceEnds().Sub(now), lateRead)))
	case r.until.Sub(now) < patience/2: // a new deadline for each message would cost more
		r.until = now.Add(patience)
		_ = r.nc.SetReadDeadline(r.until)
	}
	r.makeRoom()
	err := r.readOnce()
	if err != nil && !final && errors.Is(err, os.ErrDeadlineExceeded) {
		return true, nil
	}
	r.silent = time.Time{}
	return false, err
}

// lateRead is how long is still read once the peer is silent for too long: what has come in time lies in the
// socket if this process did not get to it.
const lateRead = time.Millisecond

// silenceEnds returns when the peer is silent for too long.
func (r *reader) silenceEnds() time.Time { return r.silent.Add(r.patience) }

// release gives up the memory of a reader that holds nothing.
func (r *reader) release() {
	r.buf, r.start, r.end, r.filled, r.large = nil, 0, 0, false, nil
}

// Park leaves a connection to poller after Idle has returned true. Until user.Ready is called, once,
// nobody may read the connection: when something has arrived, or the connection has ended. Ready can be
// called before Park returns. Park returns false, and does not call Ready, if the connection cannot be
// watched or has ended already.
//
// poller is that of package zws. PING is sent to a parked connection, and the silence of its peer noticed,
// as on others.
func (c *Conn) Park(poller *poll.Poller, user poll.Watched) bool {
	c.in.release()
	var left time.Duration
	if c.in.patience > 0 {
		if left = time.Until(c.in.silenceEnds()); left <= 0 {
			return false
		}
	}
	k := &c.parking
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.cause.Load() != nil || !poller.Watch(&k.place, c.direct, parkedConn{c}) {
		return false
	}
	k.poller, k.user = poller, user
	switch {
	case left == 0:
	case k.timer == nil:
		k.timer = time.AfterFunc(left, c.resume)
	default:
		k.timer.Reset(left)
	}
	return true
}

// parkedConn is a connection that is left to a poller.
type parkedConn struct{ *Conn }

// Ready implements [poll.Watched].
func (c parkedConn) Ready() { c.resume() }

// resume has the user of a parked connection read it again.
func (c *Conn) resume() {
	k := &c.parking
	k.mu.Lock()
	user := k.user
	k.user = nil
	if user != nil {
		k.poller.Forget(&k.place)
		if k.timer != nil {
			k.timer.Stop()
		}
	}
	k.mu.Unlock()
	if user != nil {
		user.Ready()
	}
}
