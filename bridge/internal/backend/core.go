package backend

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// core is the part that all sockets share: peers on one side, streams on the other, and the
// pattern of the socket type between them.
//
// Lock order: stream.turn before core.mu. core.mu is never held while a connection is read or
// written, or while a Receiver is called.
type core struct {
	o       Options
	pattern pattern
	// subscriber is the pattern of a SUB or XSUB; nil for other socket types.
	subscriber *subscriber
	direct     bool // Send writes itself if no writer runs
	// hopeless, if not nil, reports that nothing will be written soon: all endpoints have
	// refused. It is called with the lock held.
	hopeless func() bool
	// violated is ListenOptions.Forbidden.
	violated func(s Status, topic []byte)

	abandon func()         // ends what connects; nil if nothing does
	running sync.WaitGroup // goroutines of endpoints, listeners, readers, writers and patterns

	// only is the stream if there is exactly one. A message for it needs no lock.
	only     atomic.Pointer[stream]
	received atomic.Uint64 // messages

	mu      sync.Mutex
	peers   []*peer   // in the order in which they became ready
	streams []*stream // by number
	numbers uint64    // the highest number of a stream
	// generation counts the changes of what streams may have.
	generation uint64
	// prepare, if not nil, is called in a stream's turn before a message to all streams.
	prepare func(*stream)
	inline  bool // Send is in pattern.send, and will run writer itself
	writer  *peer
	room    chan struct{} // closed when a waiting Send should try again
	changed *sync.Cond    // peers, streams, writers or closing have changed
	ending  bool          // nothing can be sent any more
	closing bool          // nor written
	booked  int64         // in Options.Budget
	stats   Stats
}

func newCore(o Options, shared bool) *core {
	c := &core{o: o}
	c.changed = sync.NewCond(&c.mu)
	c.pattern = newPattern(c, shared)
	return c
}

// send is Socket.Send for stream st.
func (c *core) send(ctx context.Context, st *stream, msgs []zmtp.Message) error {
	for {
		c.mu.Lock()
		if err := c.ended(st); err != nil {
			c.mu.Unlock()
			return err
		}
		c.inline = c.direct
		n, err := c.pattern.send(st, msgs)
		c.inline = false
		msgs = msgs[n:]
		var room chan struct{}
		if err == nil && len(msgs) > 0 {
			if c.room == nil {
				c.room = make(chan struct{})
			}
			room = c.room
		}
		writer := c.writer
		c.writer = nil
		c.mu.Unlock()
		if writer != nil {
			writer.write()
		}
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// subscribe is Socket.Subscribe, or with cancel Socket.Unsubscribe, for stream st.
func (c *core) subscribe(st *stream, topics [][]byte, cancel bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ended(st); err != nil {
		return err
	}
	if c.subscriber == nil {
		return ErrCannotSubscribe
	}
	c.subscriber.subscribe(topics, cancel)
	return nil
}

// ended returns ErrClosed once nothing can be sent for st any more. Lock held on entry.
func (c *core) ended(st *stream) error {
	if c.ending || st.closed {
		return ErrClosed
	}
	return nil
}

// wakeSenders makes each waiting Send try again. Lock held on entry.
func (c *core) wakeSenders() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// serve runs a connection until it ends, and returns why it did. joined is called once
// messages can be sent to it. If p has a poller, serve also returns when p was left to that, with
// [errParked].
func (c *core) serve(p *peer, joined func()) error {
	if !c.join(p) {
		_ = p.conn.Close()
		return ErrClosed
	}
	joined()
	return c.read(p)
}

func (c *core) join(p *peer) bool {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return false
	}
	for c.pattern.blocked(p) {
		c.changed.Wait()
		if c.closing {
			c.mu.Unlock()
			return false
		}
	}
	c.peers = append(c.peers, p)
	p.conn.SetLimits(c.o.Limits) // which may have changed since it was dialled
	c.pattern.joined(p)
	c.wakeSenders()
	c.changed.Broadcast()
	c.mu.Unlock()
	return true
}

// leave removes p once its writer is done, and gives what was not written back to the pattern.
func (c *core) leave(p *peer) {
	c.mu.Lock()
	p.broken = true
	for p.writing {
		c.changed.Wait()
	}
	c.peers = slices.DeleteFunc(c.peers, func(q *peer) bool { return q == p })
	c.book(-p.bytes)
	c.pattern.left(p)
	p.gone = true
	p.forgetEnvelopes()
	c.dropHeld(p)
	c.wakeSenders()
	c.changed.Broadcast()
	c.mu.Unlock()
}

// attach adds a stream. The error is ErrClosed, or about a SUB or XSUB that has a stream.
func (c *core) attach(r Receiver, o AttachOptions) (*stream, error) {
	st := newStream(c, r, o)
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	if c.subscriber != nil && len(c.streams) > 0 {
		c.mu.Unlock()
		return nil, fmt.Errorf("backend: a shared %s serves one stream and has one already: put a fan-out on top", c.o.SocketType)
	}
	c.enter(st)
	c.setOnly()
	c.pattern.attached(st)
	c.audienceChanged()
	c.changed.Broadcast()
	c.mu.Unlock()
	return st, nil
}

// detach removes a stream. No call to its receiver is running after its return.
func (c *core) detach(st *stream) {
	c.mu.Lock()
	if !st.closed {
		st.closed = true
		c.streams = slices.DeleteFunc(c.streams, func(other *stream) bool { return other == st })
		st.forgetEnvelopes()
		c.setOnly()
		c.pattern.detached(st)
		c.audienceChanged()
		c.wakeSenders()
		c.changed.Broadcast()
	}
	c.mu.Unlock()
	st.turn <- struct{}{} // waits for a delivery that is under way
	st.deaf = true
	<-st.turn
}

// recheck is Socket.Recheck for stream st.
func (c *core) recheck(st *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.closed {
		return
	}
	c.streams = slices.DeleteFunc(c.streams, func(other *stream) bool { return other == st })
	c.enter(st)
	c.pattern.rechecked(st)
	c.audienceChanged()
}

// enter adds st to streams with the next number. Lock held on entry.
func (c *core) enter(st *stream) {
	c.numbers++
	st.number = c.numbers
	c.streams = append(c.streams, st)
}

// setOnly updates only after streams has changed. Lock held on entry.
func (c *core) setOnly() {
	if len(c.streams) == 1 {
		c.only.Store(c.streams[0])
	} else {
		c.only.Store(nil)
	}
}

// close ends the socket. It waits for unwritten messages as long as linger does, then closes
// all connections and waits for all goroutines.
func (c *core) close() {
	c.mu.Lock()
	c.ending = true
	c.wakeSenders()
	c.changed.Broadcast()
	c.mu.Unlock()
	c.linger()
	c.mu.Lock()
	c.closing = true
	for _, p := range c.peers {
		_ = p.conn.Close()
	}
	c.changed.Broadcast()
	streams := slices.Clone(c.streams)
	c.mu.Unlock()
	if c.abandon != nil {
		c.abandon()
	}
	for _, st := range streams {
		c.detach(st)
	}
	c.running.Wait()
	c.mu.Lock()
	c.book(-c.booked)
	c.mu.Unlock()
}

// linger waits until everything is written or Options.Linger is over. It does not wait while
// all endpoints have refused.
func (c *core) linger() {
	if c.o.Linger < 0 || c.o.SocketType == zmtp.SUB { // subscriptions are not worth waiting for
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitWhile(c.o.Linger, func() bool {
		return !c.closing && c.queued() > 0 && (c.hopeless == nil || !c.hopeless())
	})
}

// waitWhile waits as long as pending returns true, but at most for limit. Lock held on entry, and
// while pending runs.
func (c *core) waitWhile(limit time.Duration, pending func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	defer c.wakeWhenDone(ctx)()
	for ctx.Err() == nil && pending() {
		c.changed.Wait()
	}
}

// queued returns how many messages are not written yet. Lock held on entry.
func (c *core) queued() int {
	n := c.pattern.pending()
	for _, p := range c.peers {
		n += len(p.queue) + len(p.batch)
	}
	return n
}

// counts returns the socket's Stats.
func (c *core) counts() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Received = c.received.Load()
	s.Queued = c.queued()
	s.Waiting = c.pattern.waiting()
	if p, ok := c.pattern.(*publisher); ok {
		s.SubscriptionBytes = p.union.bytes
	}
	for _, p := range c.peers {
		s.Waiting += len(p.held.msgs)
	}
	return s
}

// drop counts a message that is dropped. Lock held on entry.
func (c *core) drop(why Drop) {
	switch why {
	case Unroutable:
		c.stats.Unroutable++
	case Overflow:
		c.stats.Overflow++
	case Unasked:
		c.stats.Unasked++
	case Forbidden:
		c.stats.Forbidden++
	case Replaced:
		c.stats.Replaced++
	case TooLarge:
		c.stats.TooLarge++
	}
	if c.o.Dropped != nil {
		c.o.Dropped(why)
	}
}

// unasked drops a message that the socket type does not accept.
func (c *core) unasked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(Unasked)
}

// unroutable drops a message that has no destination.
func (c *core) unroutable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(Unroutable)
}

// waitForPeer waits until a peer is connected.
func (c *core) waitForPeer(ctx context.Context) error {
	defer c.wakeWhenDone(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case len(c.peers) > 0:
			return nil
		case c.ending:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		}
		c.changed.Wait()
	}
}

// wakeWhenDone wakes those that wait for a change when ctx ends. The caller calls stop when it
// has stopped waiting.
func (c *core) wakeWhenDone(ctx context.Context) (stop func()) {
	end := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	return func() { end() }
}
