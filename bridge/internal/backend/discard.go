package backend

import (
	"errors"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file is about messages that are larger than Options.Limits allow. The connection, which
// others may share, goes on; the clients that would have had the message are told.

// tooLarge handles a message that the connection has discarded. An error disconnects p: a
// subscription cannot be discarded.
func (p *peer) tooLarge(d *zmtp.DiscardedError) error {
	known := zmtp.Message{d.First}
	if len(p.ends) > 0 {
		known = p.complete()
	}
	c := p.core
	if len(d.First) > 0 && d.First[0] <= 1 && c.o.SocketType.Publishes() {
		return d.Err
	}
	c.mu.Lock()
	c.drop(TooLarge)
	c.mu.Unlock()
	if p.rights == nil || p.rights.Publish(publishedTopic(c.o.SocketType, known)) {
		c.pattern.discarded(p, known)
	}
	return nil
}

// asDiscarded returns err as what p.tooLarge takes.
func asDiscarded(err error) (*zmtp.DiscardedError, bool) {
	return errors.AsType[*zmtp.DiscardedError](err)
}

// miss tells a stream, which may be nil, that it does not get a message.
func (p *peer) miss(st *stream, known zmtp.Message) {
	if st == nil {
		return
	}
	p.turn(st)
	if !st.deaf {
		st.receiver.Discarded(known)
	}
}

func (n none) discarded(p *peer, known zmtp.Message) { p.miss(n.core.only.Load(), known) }

func (b *balancer) discarded(p *peer, known zmtp.Message) { p.miss(b.core.only.Load(), known) }

func (*push) discarded(*peer, zmtp.Message) {}

// envelopeOwner returns the stream whose envelope for p the message begins with, and the rest of
// what is known of the message.
func (p *peer) envelopeOwner(known zmtp.Message) (*stream, zmtp.Message) {
	p.core.mu.Lock()
	defer p.core.mu.Unlock()
	return p.askers[string(known[0])], known[1:]
}

func (s *dealer) discarded(p *peer, known zmtp.Message) {
	st := s.core.only.Load()
	if s.shared {
		st, known = p.envelopeOwner(known)
	}
	p.miss(st, known)
}

// discarded takes a reply, so that the client can send its next request as usual.
func (s *req) discarded(p *peer, known zmtp.Message) {
	st := s.core.only.Load()
	if s.shared {
		st, known = p.envelopeOwner(known)
	}
	if st == nil {
		return
	}
	s.core.mu.Lock()
	reply, good := st.question.answer(p, append(slices.Clone(known), []byte("too large")))
	s.core.mu.Unlock()
	if good {
		p.miss(st, reply[:len(reply)-1])
	}
}

// discarded tells the stream whose turn it is, or else every stream that may send to p.
func (s *router) discarded(p *peer, known zmtp.Message) {
	c := s.core
	st, known, why := s.addressee(p, append(slices.Clone(known), nil))
	p.prefixed = append(append(p.prefixed[:0], []byte(p.id)), known[:len(known)-1]...)
	if why != unasked {
		p.miss(st, p.prefixed)
		return
	}
	c.mu.Lock()
	c.updateAudience(p, &p.seat)
	streams := p.audience.streams
	c.mu.Unlock()
	for _, st := range streams {
		p.miss(st, p.prefixed)
	}
}

// discarded tells the stream that has been idle for longest of those that may have the job.
// While all are busy nobody can be named, unless there is one stream alone.
func (s *pull) discarded(p *peer, known zmtp.Message) {
	c := s.core
	if s.jobs == nil {
		p.miss(c.only.Load(), known)
		return
	}
	var next *stream
	c.mu.Lock()
	workers := slices.Clone(s.jobs.idle)
	if only := c.only.Load(); only != nil {
		workers = []*worker{s.jobs.workers[only]}
	}
	for _, w := range workers {
		if s.may(w, &job{m: known, p: p}) {
			next = w.st
			break
		}
	}
	c.mu.Unlock()
	p.miss(next, known)
}

// discarded tells all streams, which get what a peer of an XPUB sends.
func (s *publisher) discarded(p *peer, known zmtp.Message) {
	c := s.core
	if c.o.SocketType == zmtp.PUB {
		return
	}
	c.mu.Lock()
	streams := slices.Clone(c.streams)
	c.mu.Unlock()
	for _, st := range streams {
		p.miss(st, known)
	}
}
