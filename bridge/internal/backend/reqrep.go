package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// req is a REQ socket (28/REQREP): one request at a time for each stream, and the reply from
// the peer that has it.
type req struct{ balancer }

func (s *req) send(st *stream, msgs []zmtp.Message) (int, error) {
	for i, m := range msgs {
		switch {
		case len(m) < 2 || len(m[0]) > 0:
			return i, ErrEnvelope
		case st.asking:
			return i, ErrLockStep
		case !s.place(st, m):
			return i, nil
		}
		st.asking = true
	}
	return len(msgs), nil
}

// receive takes a reply: "SHALL accept an incoming message only from the last peer that it
// sent a request to. SHALL discard silently any messages received from other peers."
func (s *req) receive(p *peer, m zmtp.Message) error {
	c := s.core
	c.mu.Lock()
	st, m := s.addressee(p, m)
	good := st != nil && st.asking && st.asked == p && len(m) > 1 && len(m[0]) == 0
	switch {
	case good:
		st.asking, st.asked = false, nil
	case st == nil:
		c.drop(Unroutable)
	default:
		c.drop(Unasked)
	}
	c.mu.Unlock()
	if good && p.mayPublish(m) && !p.deliver(st, m) { // the stream can ask again in any case
		c.unroutable()
	}
	return nil
}

// addressee returns the stream whose reply m is, and the reply without the envelope. Lock
// held on entry.
func (s *req) addressee(p *peer, m zmtp.Message) (*stream, zmtp.Message) {
	if s.shared {
		if st := p.asker(m); st != nil {
			return st, m[1:]
		}
		return nil, nil
	}
	if len(s.core.streams) == 0 {
		return nil, nil
	}
	return s.core.streams[0], m
}

// rep is a REP socket (28/REQREP) without its lock-step, which the client keeps: it gets
// requests as they come and answers them in that order, as over a direct connection. At most
// Options.HighWaterMark of them are unanswered; then nothing more is read.
type rep struct {
	none
	askers []*peer // of unanswered requests, oldest first
}

func (s *rep) receive(p *peer, m zmtp.Message) error {
	c := s.core
	d := delimiter(m)
	if d < 0 || d == len(m)-1 {
		c.unasked()
		return nil
	}
	st := s.await(p)
	if st == nil {
		return ErrClosed
	}
	if st.o.MayReceive != nil {
		p.flush() // MayReceive may wait
		if !st.o.MayReceive(m) {
			c.mu.Lock()
			c.drop(Forbidden)
			c.mu.Unlock()
			return nil // its peer must not get the answer to another request
		}
	}
	// The turn makes the order of askers that of the deliveries.
	p.turn(st)
	c.mu.Lock()
	s.askers = append(s.askers, p)
	c.mu.Unlock()
	st.receive(m)
	return nil
}

// await waits until one more request may be unanswered, and returns the stream; nil if there
// is none. It ends p's turn first: the client cannot answer what it has not received.
func (s *rep) await(p *peer) *stream {
	c := s.core
	full := func() bool { return len(s.askers) >= c.o.HighWaterMark && len(c.streams) > 0 && !c.closing }
	c.mu.Lock()
	defer c.mu.Unlock()
	if full() {
		c.mu.Unlock()
		p.flush()
		c.mu.Lock()
	}
	for full() {
		c.changed.Wait()
	}
	if len(c.streams) == 0 || c.closing {
		return nil
	}
	return c.streams[0]
}

// left drops the answers that p can get no more.
func (s *rep) left(p *peer) {
	for range p.queue {
		s.core.drop(Unroutable)
	}
	p.queue = nil
}

// send takes answers: "SHALL deliver this message back to the originating peer. SHALL
// silently discard the reply" if that peer has left, and "SHALL not block on sending"
// (28/REQREP).
func (s *rep) send(st *stream, msgs []zmtp.Message) (int, error) {
	c := s.core
	for i, m := range msgs {
		if d := delimiter(m); d < 0 {
			return i, ErrEnvelope
		}
		if len(s.askers) == 0 {
			return i, ErrLockStep
		}
		p := s.askers[0]
		s.askers = slices.Delete(s.askers, 0, 1)
		switch {
		case !slices.Contains(c.peers, p):
			c.drop(Unroutable)
		case p.full():
			c.drop(Overflow)
		default:
			p.push(item{m: m, st: st})
		}
	}
	c.changed.Broadcast()
	return len(msgs), nil
}

// delimiter returns the index of the first empty frame, which ends the envelope; -1 if there
// is none.
func delimiter(m zmtp.Message) int {
	return slices.IndexFunc(m, func(frame []byte) bool { return len(frame) == 0 })
}
