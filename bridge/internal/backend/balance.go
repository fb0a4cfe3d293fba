package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// balancer gives each message to one peer, in turn, and keeps it while no peer can take it
// (28/REQREP, DEALER: "SHALL route outgoing messages to available peers using a round-robin
// strategy … SHALL NOT discard messages that it cannot queue").
type balancer struct {
	core     *core
	next     int    // index in core.peers of the next one to be used
	unplaced []item // no peer can take them at present
	bytes    int64  // of unplaced
	shared   bool   // messages carry the envelope of their stream
}

// send implements pattern for DEALER, PUSH and PAIR.
func (b *balancer) send(st *stream, msgs []zmtp.Message) (int, error) {
	for i, m := range msgs {
		if len(m) == 0 {
			return i, ErrEnvelope
		}
		if !b.place(st, m, 0) {
			return i, nil
		}
	}
	return len(msgs), nil
}

// place gives m to a peer or, if there is room, to unplaced. It reports whether it did. number
// is that of a REQ's request, else 0.
func (b *balancer) place(st *stream, m zmtp.Message, number uint32) bool {
	if b.shared {
		m = withEnvelope(m)
	}
	it := item{m: m, st: st, number: number}
	if b.core.overBudget() {
		return false
	}
	if len(b.unplaced) == 0 && b.give(it) {
		return true
	}
	o := &b.core.o
	if n := len(b.unplaced); n > 0 && (n >= o.HighWaterMark || b.bytes >= o.HighWaterBytes) {
		return false
	}
	b.unplaced = append(b.unplaced, it)
	b.add(int64(it.m.Memory()))
	return true
}

// add counts n more bytes of unplaced. Lock held on entry.
func (b *balancer) add(n int64) {
	b.bytes += n
	b.core.book(n)
}

// give queues it for the next peer that is not full, and reports whether there is one. It drops
// a request that was replaced, since nobody waits for the reply.
func (b *balancer) give(it item) bool {
	if it.replaced() { // counted already
		return true
	}
	peers := b.core.peers
	for range peers {
		if b.next >= len(peers) {
			b.next = 0
		}
		p := peers[b.next]
		b.next++
		if !p.crowded() && !p.draining.Load() {
			if it.number > 0 {
				it.address(p)
			}
			if b.shared {
				it.m[0] = b.core.envelope(it.st, p)
			}
			p.push(it)
			return true
		}
	}
	return false
}

// spread gives unplaced messages to peers.
func (b *balancer) spread() {
	n := 0
	for n < len(b.unplaced) && b.give(b.unplaced[n]) {
		b.add(-int64(b.unplaced[n].m.Memory()))
		n++
	}
	b.unplaced = slices.Delete(b.unplaced, 0, n)
	if len(b.unplaced) == 0 {
		b.unplaced = nil // an idle socket keeps no memory
	}
}

func (b *balancer) joined(*peer) { b.spread() }

func (b *balancer) roomy(*peer) {
	if len(b.unplaced) > 0 {
		b.spread()
	}
}

// left takes back what had not been written to p, which is older than what is unplaced.
// Streams whose request p had may send another, since no reply will come.
func (b *balancer) left(p *peer) {
	for _, it := range p.queue {
		b.add(int64(it.m.Memory()))
		if !it.replaced() {
			it.st.question.p = nil
		}
	}
	b.unplaced = append(p.queue, b.unplaced...)
	p.queue = nil
	for _, st := range b.core.streams {
		if st.question.p == p {
			st.question.due, st.question.p = false, nil
		}
		if st.question.late == p {
			st.question.late = nil
		}
	}
	b.spread()
}

func (b *balancer) blocked(*peer) bool { return false }
func (b *balancer) attached(*stream)   {}
func (b *balancer) detached(*stream)   {}
func (b *balancer) rechecked(*stream)  {}
func (b *balancer) pending() int       { return len(b.unplaced) }
func (b *balancer) waiting() int       { return len(b.unplaced) }

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
	st := p.asker(m)
	if st == nil {
		c.drop(Unroutable)
	}
	c.mu.Unlock()
	if st != nil && p.mayPublish(m[1:]) && !p.deliver(st, m[1:]) {
		c.unroutable()
	}
	return nil
}

// pass gives m to the only stream.
func (c *core) pass(p *peer, m zmtp.Message) error {
	if st := c.only.Load(); st != nil {
		p.deliver(st, m)
	} else {
		c.unroutable()
	}
	return nil
}
