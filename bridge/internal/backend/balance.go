package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// balancer gives every message to one peer, in turn, and keeps it while none can take it
// (28/REQREP, DEALER: "SHALL route outgoing messages to available peers using a
// round-robin strategy … SHALL NOT discard messages that it cannot queue").
type balancer struct {
	core    *core
	next    int    // of core.peers, whose turn it is
	pending []item // no peer can take them at present
	octets  int64
	shared  bool // messages carry the envelope of their session
}

// send is that of DEALER, PUSH and PAIR.
func (b *balancer) send(x *session, msgs []zmtp.Message) (int, error) {
	for i, m := range msgs {
		if len(m) == 0 {
			return i, ErrEnvelope
		}
		if !b.place(x, m) {
			return i, nil
		}
	}
	return len(msgs), nil
}

// place gives m to a peer, or keeps it if there is room.
func (b *balancer) place(x *session, m zmtp.Message) bool {
	if b.shared {
		m = append(append(make(zmtp.Message, 0, 1+len(m)), x.envelope), m...)
	}
	it := item{m: m, x: x}
	if len(b.pending) == 0 && b.give(it) {
		return true
	}
	o := &b.core.o
	if n := len(b.pending); n > 0 && (n >= o.HighWaterMark || b.octets >= o.HighWaterBytes) {
		return false
	}
	b.pending = append(b.pending, it)
	b.octets += int64(it.m.Size())
	return true
}

// give queues it at the next peer that is not full.
func (b *balancer) give(it item) bool {
	peers := b.core.peers
	for range peers {
		if b.next >= len(peers) {
			b.next = 0
		}
		p := peers[b.next]
		b.next++
		if !p.full() {
			if it.x != nil {
				it.x.asked = p
			}
			p.push(it)
			return true
		}
	}
	return false
}

// spread gives away what is pending.
func (b *balancer) spread() {
	n := 0
	for n < len(b.pending) && b.give(b.pending[n]) {
		b.octets -= int64(b.pending[n].m.Size())
		n++
	}
	b.pending = slices.Delete(b.pending, 0, n)
	if len(b.pending) == 0 {
		b.pending = nil // a session that is not waiting holds no queue
	}
}

func (b *balancer) joined(*peer) { b.spread() }

func (b *balancer) roomy(*peer) {
	if len(b.pending) > 0 {
		b.spread()
	}
}

// left takes back what p had not been given; it is older than what is pending. Sessions
// whose request p had taken may ask again, since no reply will come.
func (b *balancer) left(p *peer) {
	for _, it := range p.queue {
		b.octets += int64(it.m.Size())
		if it.x != nil {
			it.x.asked = nil
		}
	}
	b.pending = append(p.queue, b.pending...)
	p.queue = nil
	for _, x := range b.core.sessions {
		if x.asked == p {
			x.asking, x.asked = false, nil
		}
	}
	b.spread()
}

func (b *balancer) attached(*session) {}
func (b *balancer) detached(*session) {}
func (b *balancer) waiting() int      { return len(b.pending) }

func (b *balancer) write(p *peer) (int, error) { return writeAll(p.conn, p.out) }

// pair is a PAIR socket (31/EXPAIR).
type pair struct{ balancer }

func (s *pair) receive(p *peer, m zmtp.Message) error { return s.core.pass(p, m) }

// push is a PUSH socket (30/PIPELINE).
type push struct{ balancer }

func (s *push) receive(p *peer, m zmtp.Message) error {
	s.core.unasked()
	return nil
}

// dealer is a DEALER socket (28/REQREP).
type dealer struct{ balancer }

func (s *dealer) receive(p *peer, m zmtp.Message) error {
	if !s.shared {
		return s.core.pass(p, m)
	}
	c := s.core
	c.mu.Lock()
	x := c.addressee(m)
	if x == nil {
		c.drop(Unroutable)
	}
	c.mu.Unlock()
	if x != nil {
		p.deliver(x, m[1:])
	}
	return nil
}

// addressee is the session whose envelope m begins with, and nil if there is none: lock
// held.
func (c *core) addressee(m zmtp.Message) *session {
	if len(m) < 2 {
		return nil
	}
	return c.numbers[string(m[0])]
}

// pass gives m to the session of a dedicated socket.
func (c *core) pass(p *peer, m zmtp.Message) error {
	if x := c.only.Load(); x != nil {
		p.deliver(x, m)
	}
	return nil
}
