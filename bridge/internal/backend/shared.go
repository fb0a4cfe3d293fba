package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Shared is one socket for many streams. The package comment describes what each of them
// receives. Any number of goroutines may call its methods.
type Shared struct {
	core   *core
	dialer *dialer // nil if it listens
	o      ListenOptions

	// Guarded by core.mu.
	listeners []*listening
	closed    bool
}

// DialShared opens a socket that connects, for streams that are attached later. It returns at
// once and connects in the background; [Visit.Wait] waits for the Ready rule. REP and PAIR
// cannot be shared. Errors are about the options. The caller closes it.
func DialShared(o DialOptions) (*Shared, error) {
	if o.SocketType == zmtp.REP || o.SocketType == zmtp.PAIR {
		return nil, fmt.Errorf("backend: a %s socket cannot be shared by several clients", o.SocketType)
	}
	d, err := newDialer(o, true)
	if err != nil {
		return nil, err
	}
	d.start()
	return &Shared{core: d.core, dialer: d}, nil
}

// Listen opens a socket that native peers connect to. o.Security authenticates each of them.
// Errors are about the options, or those of [zmtp.Listen]. The caller closes it.
func Listen(o ListenOptions) (*Shared, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := newListening(o)
	for _, address := range o.Addresses {
		l, err := s.open(address, &o, nil)
		if err != nil {
			_ = s.Close()
			return nil, err
		}
		s.listeners = append(s.listeners, l)
	}
	for _, l := range s.listeners {
		s.core.running.Go(func() { s.accept(l) })
	}
	return s, nil
}

// newListening returns the socket without its listeners.
func newListening(o ListenOptions) *Shared {
	s := &Shared{core: newCore(o.Options, true), o: o}
	s.core.violated = o.Forbidden
	switch pattern := s.core.pattern.(type) {
	case *router:
		pattern.envelope, pattern.turnTimeout = o.Envelope, o.TurnTimeout
	case *publisher:
		pattern.union.most, pattern.inbound = o.MaxSubscriptionBytes, true
	}
	return s
}

// accept serves each peer that connects until the listener is closed.
func (s *Shared) accept(l *listening) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if s.crowded() {
			_ = conn.Close()
			if s.o.Refused != nil {
				s.o.Refused(conn.RemoteAddr().String(), fmt.Errorf("backend: %d peers are connected, more are not allowed", s.o.MaxPeers))
			}
			continue
		}
		s.core.running.Go(func() { s.serve(conn, l) })
	}
}

func (s *Shared) crowded() bool {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	return len(s.core.peers) >= s.o.MaxPeers
}

// lastConnection is the highest Status.Connection.
var lastConnection atomic.Uint64

// serve runs one inbound peer.
func (s *Shared) serve(conn *zmtp.Conn, l *listening) {
	reply := conn.Peer().Reply
	status := Status{
		Address: conn.RemoteAddr().String(), User: userOf(reply), Identity: claimedID(conn.Peer()),
		Connection: lastConnection.Add(1), State: Connected, Since: time.Now(),
	}
	p := &peer{core: s.core, conn: conn, status: status, owner: ownerOf(conn), via: l}
	if s.o.Rights != nil {
		p.rights = s.o.Rights(reply)
	}
	report := func() {
		if s.o.Event != nil {
			s.o.Event(status)
		}
	}
	err := s.core.serve(p, func() {
		report()
		s.core.mu.Lock()
		defer s.core.mu.Unlock()
		if !s.serves(p) { // since it was accepted
			s.core.drain(p, func() {})
		}
	})
	status.State, status.Since = Gone, time.Now()
	if !errors.Is(err, io.EOF) && !s.core.isClosing() {
		status.Err = err
	}
	report()
}

// isClosing reports whether the socket was closed.
func (c *core) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// Attach adds a stream that r receives for and that may do what o allows. Closing the returned Socket leaves the shared one
// open. Errors: [ErrClosed], and a second stream on a SUB or XSUB.
func (s *Shared) Attach(r Receiver, o AttachOptions) (Socket, error) {
	st, err := s.core.attach(r, o)
	if err != nil {
		return nil, err
	}
	return st, nil
}

// Settle forgets the attempts of a visit that nobody will Wait for any more. Wait does it as well.
func (v *Visit) Settle() { v.attempts = nil }

// Enter counts a client of the socket, which need not have a stream of its own. It has
// endpoints tried at once that wait, at most one time a second each. The caller calls Leave.
func (s *Shared) Enter() *Visit {
	v := &Visit{socket: s}
	if s.dialer != nil {
		s.core.mu.Lock()
		defer s.core.mu.Unlock()
		s.dialer.clients++
		v.attempts = s.dialer.hurry()
	}
	return v
}

// Visit is a client of a [Shared] socket. While there is one, endpoints that have refused are
// tried again.
type Visit struct {
	socket   *Shared
	attempts attempts
	left     sync.Once
}

// Wait returns when the Ready rule of the options is met; for a socket that listens, when a
// peer is connected. The rule is that of [Dial], with the attempts that Enter has brought
// about or found under way, so that Wait fails as soon as these have. Errors are those of
// Dial; an [*Error] that wraps [zmtp.ErrUnreachable] if ctx ends first; and [ErrClosed].
func (v *Visit) Wait(ctx context.Context) error {
	defer v.Settle()
	s := v.socket
	var err error
	if s.dialer != nil {
		err = s.dialer.wait(ctx, v.attempts)
	} else {
		err = s.core.waitForPeer(ctx)
	}
	if err != nil && err == ctx.Err() {
		return newError(0, fmt.Errorf("%w: no backend was ready in time (%w)", zmtp.ErrUnreachable, err))
	}
	return err
}

// Leave ends the visit. It may be called more than once.
func (v *Visit) Leave() {
	v.left.Do(func() {
		if d := v.socket.dialer; d != nil {
			d.core.mu.Lock()
			defer d.core.mu.Unlock()
			d.clients--
		}
	})
}

// Endpoints returns the addresses that it listens on, with the actual ports.
func (s *Shared) Endpoints() []string {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	var list []string
	for _, l := range s.listeners {
		list = append(list, l.Endpoint())
	}
	return list
}

// Status returns the state of each endpoint, in their order, or of each inbound peer, in the
// order in which they connected.
func (s *Shared) Status() []Status {
	if s.dialer != nil {
		return s.dialer.status()
	}
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	var list []Status
	for _, p := range s.core.peers {
		status := p.status
		status.Waiting = p.jobs + len(p.held.msgs)
		if p.turns != nil {
			status.Waiting += p.turns.waiting
		}
		list = append(list, status)
	}
	return list
}

// Stats returns the socket's counts.
func (s *Shared) Stats() Stats { return s.core.counts() }

// Close ends the socket for all streams, as [Socket] describes.
func (s *Shared) Close() error {
	s.core.mu.Lock()
	s.closed = true
	listeners := s.listeners
	s.core.mu.Unlock()
	closeAll(listeners, nil)
	s.core.close()
	return nil
}
