package backend

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// pattern is what a socket type does with messages. Its methods are called with core.mu held,
// except receive, discarded and write.
type pattern interface {
	// send takes as many of msgs as there is room for and returns their number. An error is
	// about the message at that index.
	send(st *stream, msgs []zmtp.Message) (int, error)
	// receive handles a whole message from p. p's reader calls it. An error disconnects p.
	receive(p *peer, m zmtp.Message) error
	// discarded handles a message from p that was too large; known is the frames before that,
	// at least one, of which the first may be cut. p's reader calls it.
	discarded(p *peer, known zmtp.Message)
	// write writes p.out, which is the messages of p.batch, and returns how many were
	// written whole.
	write(p *peer) (int, error)
	// blocked reports whether p must not join yet, because another peer has to leave first.
	blocked(p *peer) bool
	// joined is called when p is ready and in core.peers.
	joined(p *peer)
	// left is called when p is not in core.peers any more. p.queue is what was not written.
	left(p *peer)
	// roomy is called when p has written something and may have room again.
	roomy(p *peer)
	// attached and detached are called when st was added to core.streams, or removed.
	attached(st *stream)
	detached(st *stream)
	// rechecked is called when st may have something else from now on.
	rechecked(st *stream)
	// pending returns how many messages of streams were not given to a peer yet.
	pending() int
	// waiting returns how many messages nothing can take at present.
	waiting() int
}

// newPattern returns the pattern of the socket type.
func newPattern(c *core, shared bool) pattern {
	switch c.o.SocketType {
	case zmtp.DEALER:
		return &dealer{balancer{core: c, shared: shared}}
	case zmtp.REQ:
		return &req{balancer{core: c, shared: shared}}
	case zmtp.REP:
		return &rep{none{c}, nil}
	case zmtp.ROUTER:
		return newRouter(c, shared)
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

// waits reports whether Send waits when the peers are full, instead of dropping.
func waits(t zmtp.SocketType) bool {
	return t == zmtp.DEALER || t == zmtp.REQ || t == zmtp.PUSH || t == zmtp.PAIR
}

// none is a pattern that does nothing. Patterns embed it for the methods they do not need.
type none struct{ core *core }

func (none) blocked(*peer) bool { return false }
func (none) joined(*peer)       {}
func (none) left(*peer)         {}
func (none) roomy(*peer)        {}
func (none) attached(*stream)   {}
func (none) detached(*stream)   {}
func (none) rechecked(*stream)  {}
func (none) pending() int       { return 0 }
func (none) waiting() int       { return 0 }

func (none) send(*stream, []zmtp.Message) (int, error) { return 0, ErrCannotSend }

func (none) write(p *peer) (int, error) { return writeAll(p.conn, p.out) }
