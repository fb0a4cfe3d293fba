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

// pattern is what a socket type does with messages. Except for receive and write,
// which run without it, its methods are called with core.mu held.
type pattern interface {
	// send takes as many of msgs as there is room for and returns how many. An error is
	// about the message at that index.
	send(x *session, msgs []zmtp.Message) (int, error)
	// receive handles a whole message of p on p's reader. An error disconnects p.
	receive(p *peer, m zmtp.Message) error
	// write writes p.out, which is the messages of p.batch, and returns how many were
	// written whole.
	write(p *peer) (int, error)
	// joined: p is ready and in core.peers.
	joined(p *peer)
	// left: p is gone and no longer in core.peers; p.queue is what it had not been given.
	left(p *peer)
	// roomy: p has written something and may have room again.
	roomy(p *peer)
	// attached and detached: x was added to core.sessions, or removed.
	attached(x *session)
	detached(x *session)
	// waiting is how many messages wait for a peer to be ready.
	waiting() int
}

// core is what all sockets are made of: peers on one side, sessions on the other, and
// between them the pattern of the socket's type.
//
// Locks: session.turn before core.mu. core.mu is never held while a connection is read or
// written or a Receiver runs.
type core struct {
	o       Options
	pattern pattern
	// subscriber is the pattern of a SUB or XSUB; nil for other socket types.
	subscriber *subscriber
	direct     bool // whoever calls Send writes, if no writer runs

	ctx     context.Context // ends with the socket
	cancel  context.CancelFunc
	running sync.WaitGroup // endpoints, acceptors, readers, writers, and who serves a session

	// only is the session if there is exactly one: a message for it needs no lock.
	only     atomic.Pointer[session]
	received atomic.Uint64 // messages

	mu       sync.Mutex
	peers    []*peer             // in the order in which they became ready
	sessions []*session          // in the order in which they were attached
	numbers  map[string]*session // by envelope
	inline   bool                // Send is in pattern.send: it will run writer itself
	writer   *peer
	room     chan struct{} // closed when a Send that waits shall try again
	changed  *sync.Cond    // peers, sessions, writers or closing changed
	closing  bool
	err      error // why nothing can be sent any more; nil while it can
	stats    Stats
}

func newCore(o Options, shared bool) *core {
	c := &core{o: o, numbers: make(map[string]*session)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.changed = sync.NewCond(&c.mu)
	c.pattern = newPattern(c, shared)
	return c
}

// newPattern chooses by socket type.
func newPattern(c *core, shared bool) pattern {
	switch c.o.SocketType {
	case zmtp.DEALER:
		return &dealer{balancer{core: c, shared: shared}}
	case zmtp.REQ:
		return &req{balancer{core: c, shared: shared}}
	case zmtp.REP:
		return &rep{none{c}, nil}
	case zmtp.ROUTER:
		return newRouter(c)
	case zmtp.PUSH:
		return &push{balancer{core: c}}
	case zmtp.PULL:
		return newPull(c, shared)
	case zmtp.PUB, zmtp.XPUB:
		return newPublisher(c)
	case zmtp.SUB, zmtp.XSUB:
		return newSubscriber(c)
	}
	return &pair{balancer{core: c}}
}

// waits tells whether Send waits when the peers are full, rather than drop.
func waits(t zmtp.SocketType) bool {
	return t == zmtp.DEALER || t == zmtp.REQ || t == zmtp.PUSH || t == zmtp.PAIR
}

// send is Socket.Send for session x.
func (c *core) send(ctx context.Context, x *session, msgs []zmtp.Message) error {
	for {
		c.mu.Lock()
		if err := c.ended(x); err != nil {
			c.mu.Unlock()
			return err
		}
		c.inline = c.direct
		n, err := c.pattern.send(x, msgs)
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

// subscribe is Socket.Subscribe, or with cancel Socket.Unsubscribe, for session x.
func (c *core) subscribe(x *session, topics [][]byte, cancel bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ended(x); err != nil {
		return err
	}
	if c.subscriber == nil {
		return ErrCannotSubscribe
	}
	c.subscriber.subscribe(topics, cancel)
	return nil
}

// ended returns why nothing can be sent for x any more; nil while it can. Lock held on
// entry.
func (c *core) ended(x *session) error {
	switch {
	case c.err != nil:
		return c.err
	case x.closed:
		return ErrClosed
	}
	return nil
}

// wakeSenders makes every Send that waits try again: lock held.
func (c *core) wakeSenders() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// serve runs a connection until it ends and tells why it did. joined is called once
// messages can go to it.
func (c *core) serve(conn *zmtp.Conn, status Status, joined func()) error {
	p := &peer{core: c, conn: conn, status: status}
	if !c.join(p) {
		_ = conn.Close()
		return ErrClosed
	}
	joined()
	err := p.read()
	p.flush()
	_ = conn.Close()
	c.leave(p)
	return err
}

func (c *core) join(p *peer) bool {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return false
	}
	c.peers = append(c.peers, p)
	c.pattern.joined(p)
	c.wakeSenders()
	c.changed.Broadcast()
	c.mu.Unlock()
	return true
}

// leave takes p out, once its writer is done with it, and gives what it had not been
// given back to the pattern.
func (c *core) leave(p *peer) {
	c.mu.Lock()
	p.broken = true
	for p.writing {
		c.changed.Wait()
	}
	c.peers = slices.DeleteFunc(c.peers, func(q *peer) bool { return q == p })
	c.pattern.left(p)
	c.wakeSenders()
	c.changed.Broadcast()
	c.mu.Unlock()
}

// attach adds a session.
func (c *core) attach(r Receiver, envelope []byte) (*session, error) {
	x := newSession(c, r, envelope)
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	if c.subscriber != nil && len(c.sessions) > 0 {
		c.mu.Unlock()
		return nil, fmt.Errorf("backend: a %s serves one client, which another one is already: put a fan-out on top", c.o.SocketType)
	}
	c.sessions = append(c.sessions, x)
	c.numbers[string(envelope)] = x
	c.setOnly()
	c.pattern.attached(x)
	c.changed.Broadcast()
	c.mu.Unlock()
	return x, nil
}

// detach removes a session; no call to its receiver is running afterwards.
func (c *core) detach(x *session) {
	c.mu.Lock()
	if !x.closed {
		x.closed = true
		c.sessions = slices.DeleteFunc(c.sessions, func(y *session) bool { return y == x })
		delete(c.numbers, string(x.envelope))
		c.setOnly()
		c.pattern.detached(x)
		c.wakeSenders()
		c.changed.Broadcast()
	}
	c.mu.Unlock()
	x.turn <- struct{}{} // after a delivery that is under way
	x.deaf = true
	<-x.turn
}

// setOnly follows a change of sessions: lock held.
func (c *core) setOnly() {
	if len(c.sessions) == 1 {
		c.only.Store(c.sessions[0])
	} else {
		c.only.Store(nil)
	}
}

// fail makes every Send return err.
func (c *core) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.wakeSenders()
	c.changed.Broadcast()
}

// close ends everything: what is unwritten gets its time to linger, then all connections
// are closed and all goroutines waited for.
func (c *core) close() {
	c.fail(ErrClosed)
	c.linger()
	c.mu.Lock()
	c.closing = true
	for _, p := range c.peers {
		_ = p.conn.Close()
	}
	c.changed.Broadcast()
	sessions := slices.Clone(c.sessions)
	c.mu.Unlock()
	c.cancel()
	for _, x := range sessions {
		c.detach(x)
	}
	c.running.Wait()
}

// linger waits until everything is written or Options.Linger is over; not at all where
// every endpoint has refused us.
func (c *core) linger() {
	if c.o.Linger < 0 || c.o.SocketType == zmtp.SUB { // nobody misses subscriptions
		return
	}
	over := false
	timer := time.AfterFunc(c.o.Linger, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		over = true
		c.changed.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !over && !c.closing && c.err == ErrClosed && c.queued() > 0 {
		c.changed.Wait()
	}
}

// queued is how many messages are not written yet: lock held.
func (c *core) queued() int {
	n := c.pattern.waiting()
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
	return s
}

// drop counts a message that goes nowhere. Lock held.
func (c *core) drop(why Drop) {
	switch why {
	case Unroutable:
		c.stats.Unroutable++
	case Overflow:
		c.stats.Overflow++
	case Unasked:
		c.stats.Unasked++
	}
	if c.o.Dropped != nil {
		c.o.Dropped(why)
	}
}

// unasked drops a message of a peer that nobody has asked for.
func (c *core) unasked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(Unasked)
}

// waitForPeer waits until somebody is connected.
func (c *core) waitForPeer(ctx context.Context) error {
	defer c.wakeWhenDone(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case len(c.peers) > 0:
			return nil
		case c.err != nil:
			return c.err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		c.changed.Wait()
	}
}

// wakeWhenDone wakes all that wait for a change when ctx ends. The caller calls stop once
// it waits no longer.
func (c *core) wakeWhenDone(ctx context.Context) (stop func()) {
	end := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	return func() { end() }
}

// none does nothing: patterns embed it for what does not concern them.
type none struct{ core *core }

func (none) joined(*peer)      {}
func (none) left(*peer)        {}
func (none) roomy(*peer)       {}
func (none) attached(*session) {}
func (none) detached(*session) {}
func (none) waiting() int      { return 0 }

func (none) send(*session, []zmtp.Message) (int, error) { return 0, ErrCannotSend }

func (none) write(p *peer) (int, error) { return writeAll(p.conn, p.out) }
