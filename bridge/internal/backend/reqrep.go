package backend

import (
	"bytes"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// req is a REQ socket (28/REQREP): the peer that has a stream's newest request may answer it.
// A request that comes before the reply replaces the one before, as with libzmq's REQ_RELAXED:
// a reply to that one is dropped.
type req struct{ balancer }

// question is the newest request of a stream.
type question struct {
	number   uint32 // of the request, from 1
	due      bool   // a reply is due
	p        *peer  // that has it; nil while none has
	envelope zmtp.Message
	// tag is a frame of this side in front of the envelope; nil for none. late is a peer that
	// owes a reply, with this envelope and no tag, to a request that was replaced.
	tag  []byte
	late *peer
}

func (s *req) send(st *stream, msgs []zmtp.Message) (int, error) {
	for i, m := range msgs {
		d := delimiter(m)
		switch {
		case IsProbe(m):
			s.core.drop(Unasked)
		case d < 0 || d == len(m)-1:
			return i, ErrEnvelope
		case !s.ask(st, m, m[:d]):
			return i, nil
		}
	}
	return len(msgs), nil
}

// ask places a request, which replaces an earlier one without a reply, and reports whether there
// was room.
func (s *req) ask(st *stream, m, envelope zmtp.Message) bool {
	q := &st.question
	s.replace(st, envelope)
	before := *q
	*q = question{number: q.number + 1, due: true, late: q.late}
	if !s.place(st, m, q.number) {
		*q = before
		return false
	}
	q.envelope = owned(envelope)
	return true
}

// replace withdraws the request of st, if a reply is due to it, for a newer one with this
// envelope. If the request was sent already the reply must not arrive: a shared socket forgets
// the stream's envelope for the peer, and otherwise that peer owes a reply that must not be taken
// for another.
func (s *req) replace(st *stream, envelope zmtp.Message) {
	q := &st.question
	if !q.due {
		return
	}
	s.core.drop(Replaced)
	waits := func(it item) bool { return it.st == st && it.number == q.number }
	queue, add := &s.unplaced, s.add
	if q.p != nil {
		queue, add = &q.p.queue, q.p.add
	}
	if at := slices.IndexFunc(*queue, waits); at >= 0 {
		add(-int64((*queue)[at].m.Memory()))
		*queue = slices.Delete(*queue, at, at+1)
		q.due, q.p = false, nil
		return
	}
	switch {
	case q.p == nil:
	case s.shared:
		st.forgetEnvelope(q.p)
	case q.tag == nil && sameFrames(q.envelope, envelope):
		q.late = q.p
	}
	q.due, q.p = false, nil
}

// address makes a request that goes to p one whose reply differs from what p owes.
func (it *item) address(p *peer) {
	q := &it.st.question
	if q.p = p; q.tag != nil { // for another peer, which has left
		it.m, q.tag = it.m[1:], nil
	}
	if q.late == p {
		q.tag = newEnvelope()
		it.m = append(zmtp.Message{q.tag}, it.m...)
	}
}

// receive takes a reply: "SHALL accept an incoming message only from the last peer that it
// sent a request to. SHALL discard silently any messages received from other peers."
func (s *req) receive(p *peer, m zmtp.Message) error {
	c := s.core
	c.mu.Lock()
	st, m := s.addressee(p, m)
	good := false
	if st == nil {
		c.drop(Unroutable)
	} else if m, good = st.question.answer(p, m); !good {
		c.drop(Unasked)
	}
	c.mu.Unlock()
	if good && p.mayPublish(m) && !p.deliver(st, m) { // the stream can ask again in any case
		c.unroutable()
	}
	return nil
}

// answer reports whether m, from p, is the reply that is due, and returns it without the tag.
// It is not due any more then.
func (q *question) answer(p *peer, m zmtp.Message) (zmtp.Message, bool) {
	tagged := q.tag != nil && len(m) > 0 && bytes.Equal(m[0], q.tag)
	if tagged {
		m = m[1:]
	}
	d := delimiter(m)
	if d < 0 || d == len(m)-1 || !sameFrames(m[:d], q.envelope) {
		return nil, false
	}
	if !tagged && p == q.late {
		q.late = nil
	}
	if !q.due || p != q.p || tagged != (q.tag != nil) {
		return nil, false
	}
	q.due, q.p, q.envelope, q.tag = false, nil, nil, nil
	return m, true
}

// sameFrames reports whether two messages are equal.
func sameFrames(a, b zmtp.Message) bool { return slices.EqualFunc(a, b, bytes.Equal) }

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
	askers []asker // of unanswered requests, oldest first
}

// asker is the peer of a request and the envelope that its answer gets.
type asker struct {
	p        *peer
	envelope zmtp.Message
}

// maxEnvelope bounds the envelope of a request, in bytes: 28/REQREP has one routing id of at
// most 255 for each hop.
const maxEnvelope = 16 << 10

func (s *rep) receive(p *peer, m zmtp.Message) error {
	c := s.core
	d := delimiter(m)
	if d < 0 || d == len(m)-1 || m[:d].Size() > maxEnvelope {
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
	s.askers = append(s.askers, asker{p, owned(m[:d])})
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
// (28/REQREP). An answer gets the envelope of its request, whichever the client has put there.
func (s *rep) send(st *stream, msgs []zmtp.Message) (int, error) {
	c := s.core
	for i, m := range msgs {
		d := delimiter(m)
		switch {
		case IsProbe(m):
			c.drop(Unasked)
			continue
		case d < 0:
			return i, ErrEnvelope
		case len(s.askers) == 0:
			return i, ErrLockStep
		}
		p := s.askers[0].p
		m = append(s.askers[0].envelope, m[d:]...)
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

// IsProbe reports whether m is an empty message, as sockets with libzmq's PROBE_ROUTER send one
// when they have connected.
func IsProbe(m zmtp.Message) bool { return len(m) == 1 && len(m[0]) == 0 }
