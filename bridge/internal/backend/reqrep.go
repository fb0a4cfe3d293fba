package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// req is a REQ socket (28/REQREP): one request at a time for each session, and the reply
// from the peer that was asked.
type req struct{ balancer }

func (s *req) send(x *session, msgs []zmtp.Message) (int, error) {
	for i, m := range msgs {
		switch {
		case len(m) < 2 || len(m[0]) > 0:
			return i, ErrEnvelope
		case x.asking:
			return i, ErrLockStep
		case !s.place(x, m):
			return i, nil
		}
		x.asking = true
	}
	return len(msgs), nil
}

// receive takes a reply: "SHALL accept an incoming message only from the last peer that
// it sent a request to. SHALL discard silently any messages received from other peers."
func (s *req) receive(p *peer, m zmtp.Message) error {
	c := s.core
	c.mu.Lock()
	x, m := s.session(m)
	good := x != nil && x.asking && x.asked == p && len(m) > 1 && len(m[0]) == 0
	switch {
	case good:
		x.asking, x.asked = false, nil
	case x == nil:
		c.drop(Unroutable)
	default:
		c.drop(Unasked)
	}
	c.mu.Unlock()
	if good {
		p.deliver(x, m)
	}
	return nil
}

// session is whose reply m is, and the reply without the envelope.
func (s *req) session(m zmtp.Message) (*session, zmtp.Message) {
	if s.shared {
		if x := s.core.addressee(m); x != nil {
			return x, m[1:]
		}
		return nil, nil
	}
	if len(s.core.sessions) == 0 {
		return nil, nil
	}
	return s.core.sessions[0], m
}

// rep is a REP socket (28/REQREP) without the lock-step, which is the client's own: it
// gets requests as they come and answers them in that order, as over a direct connection.
// At most the high-water mark are unanswered; then nothing more is read.
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
	x := s.await(p)
	if x == nil {
		return ErrClosed
	}
	// The turn makes the askers' order that of the deliveries.
	p.turn(x)
	c.mu.Lock()
	s.askers = append(s.askers, p)
	c.mu.Unlock()
	x.receive(m)
	return nil
}

// await waits until one more request may be unanswered, and returns the session; nil if
// there is none. p's turn ends before: the client cannot answer what it has not got.
func (s *rep) await(p *peer) *session {
	c := s.core
	full := func() bool { return len(s.askers) >= c.o.HighWaterMark && len(c.sessions) > 0 && !c.closing }
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
	if len(c.sessions) == 0 || c.closing {
		return nil
	}
	return c.sessions[0]
}

// send takes answers: "SHALL deliver this message back to the originating peer. SHALL
// silently discard the reply … if the originating peer is no longer connected. SHALL not
// block on sending."
func (s *rep) send(x *session, msgs []zmtp.Message) (int, error) {
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
			p.push(item{m: m, x: x})
		}
	}
	c.changed.Broadcast()
	return len(msgs), nil
}

// delimiter is the index of the first empty frame, which ends the envelope; -1 if there
// is none.
func delimiter(m zmtp.Message) int {
	return slices.IndexFunc(m, func(frame []byte) bool { return len(frame) == 0 })
}
