package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// balancer gives each message to one peer, in turn, and keeps it while no peer can take it
// (28/REQREP, DEALER: "SHALL route outgoing messages to available peers using a round-robin
// strategy … SHALL NOT discard messages that it cannot queue").
type balancer struct {
	core    *core
	next    int    // index in core.peers of the next one to be used
	pending []item // no peer can take them at present
	bytes   int64  // of pending
	shared  bool   // messages carry the envelope of their stream
}

// send implements pattern for DEALER, PUSH and PAIR.
func (b *balancer) send(st *stream, msgs []zmtp.Message) (int, error) {
	for i, m := range msgs {
		if len(m) == 0 {
			return i, ErrEnvelope
		}
		if !b.place(st, m) {
			return i, nil
		}
	}
	return len(msgs), nil
}

// place gives m to a peer or, if there is room, to pending. It reports whether it did.
func (b *balancer) place(st *stream, m zmtp.Message) bool {
	if b.shared {
		m = append(append(make(zmtp.Message, 0, 1+len(m)), st.envelope), m...)
	}
	it := item{m: m, st: st}
	if len(b.pending) == 0 && b.give(it) {
		return true
	}
	o := &b.core.o
	if n := len(b.pending); n > 0 && (n >= o.HighWaterMark || b.bytes >= o.HighWaterBytes) {
		return false
	}
	b.pending = append(b.pending, it)
	b.bytes += int64(it.m.Size())
	return true
}

// give queues it for the next peer that is not full, and reports whether there is one.
func (b *balancer) give(it item) bool {
	peers := b.core.peers
	for range peers {
		if b.next >= len(peers) {
			b.next = 0
		}
		p := peers[b.next]
		b.next++
		if !p.full() {
			if it.st != nil {
				it.st.asked = p
			}
			p.push(it)
			return true
		}
	}
	return false
}

// spread gives pending messages to peers.
func (b *balancer) spread() {
	n := 0
	for n < len(b.pending) && b.give(b.pending[n]) {
		b.bytes -= int64(b.pending[n].m.Size())
		n++
	}
	b.pending = slices.Delete(b.pending, 0, n)
	if len(b.pending) == 0 {
		b.pending = nil // an idle socket keeps no memory
	}
}

func (b *balancer) joined(*peer) { b.spread() }

func (b *balancer) roomy(*peer) {
	if len(b.pending) > 0 {
		b.spread()
	}
}

// left takes back what had not been written to p, which is older than what is pending.
// Streams whose request p had may send another, since no reply will come.
func (b *balancer) left(p *peer) {
	for _, it := range p.queue {
		b.bytes += int64(it.m.Size())
		if it.st != nil {
			it.st.asked = nil
		}
	}
	b.pending = append(p.queue, b.pending...)
	p.queue = nil
	for _, st := range b.core.streams {
		if st.asked == p {
			st.asking, st.asked = false, nil
		}
	}
	b.spread()
}

func (b *balancer) attached(*stream) {}
func (b *balancer) detached(*stream) {}
func (b *balancer) waiting() int     { return len(b.pending) }

func (b *balancer) write(p *peer) (int, error) { return writeAll(p.conn, p.out) }

// pair is a PAIR socket (31/EXPAIR).
type pair struct{ balancer }

func (s *pair) receive(p *peer, m zmtp.Message) error { return s.core.pass(p, m) }

// push is a PUSH socket (30/PIPELINE).
type push struct{ balancer }

func (s *push) receive(*peer, zmtp.Message) error {
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
	st := c.addressee(m)
	if st == nil {
		c.drop(Unroutable)
	}
	c.mu.Unlock()
	if st != nil {
		p.deliver(st, m[1:])
	}
	return nil
}

// addressee returns the stream whose envelope m begins with; nil if there is none. Lock held
// on entry.
func (c *core) addressee(m zmtp.Message) *stream {
	if len(m) < 2 {
		return nil
	}
	return c.numbers[string(m[0])]
}

// pass gives m to the only stream.
func (c *core) pass(p *peer, m zmtp.Message) error {
	if st := c.only.Load(); st != nil {
		p.deliver(st, m)
	}
	return nil
}
