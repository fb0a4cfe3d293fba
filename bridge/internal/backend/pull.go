package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// pull is a PULL socket (30/PIPELINE). The streams of a shared one are to a peer what several
// PULLs are to a PUSH: a message goes to one that has room, and the peer waits only while none
// has. So each stream takes its messages itself, and one whose client does not read takes no
// more. A stream that has ended in between gives back what it took.
type pull struct {
	none
	jobs chan zmtp.Message         // from the peers to the streams; nil if not shared
	back chan zmtp.Message         // given back by streams that have ended; goes first
	stop map[*stream]chan struct{} // guarded by core.mu
}

func newPull(c *core, shared bool) *pull {
	s := &pull{none: none{c}}
	if shared {
		s.jobs, s.back = make(chan zmtp.Message), make(chan zmtp.Message)
		s.stop = make(map[*stream]chan struct{})
	}
	return s
}

// receive returns once a stream has m.
func (s *pull) receive(p *peer, m zmtp.Message) error {
	if s.jobs == nil {
		return s.core.pass(p, m)
	}
	if !p.mayPublish(m) {
		return nil
	}
	own := make(zmtp.Message, len(m)) // m is valid until the next read only
	for i, frame := range m {
		own[i] = slices.Clone(frame)
	}
	select {
	case s.jobs <- own:
		return nil
	case <-s.core.ctx.Done():
		return ErrClosed
	}
}

func (s *pull) attached(st *stream) {
	if s.jobs == nil {
		return
	}
	stop := make(chan struct{})
	s.stop[st] = stop
	s.core.running.Go(func() { s.serve(st, stop) })
}

func (s *pull) detached(st *stream) {
	if s.jobs != nil {
		close(s.stop[st])
		delete(s.stop, st)
	}
}

// serve gives st messages until it takes no more, is detached, or the socket is closed.
func (s *pull) serve(st *stream, stop <-chan struct{}) {
	for {
		m, ok := s.next(stop)
		if !ok {
			return
		}
		st.turn <- struct{}{}
		taken := st.receive(m)
		st.flush()
		<-st.turn
		if !taken {
			s.giveBack(m)
			return
		}
	}
}

// next waits for a message. Those that were given back go before those of the peers, so that
// there are never more of them than there were streams at a time.
func (s *pull) next(stop <-chan struct{}) (m zmtp.Message, ok bool) {
	select {
	case m = <-s.back:
		return m, true
	default:
	}
	select {
	case m = <-s.back:
	case m = <-s.jobs:
	case <-stop:
		return nil, false
	case <-s.core.ctx.Done():
		return nil, false
	}
	return m, true
}

// giveBack returns once another stream has m.
func (s *pull) giveBack(m zmtp.Message) {
	select {
	case s.back <- m:
	case <-s.core.ctx.Done():
	}
}
