package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// pull is a PULL socket (30/PIPELINE). The sessions of a shared one are to a peer what
// several PULLs are to a PUSH: a message goes to one that has room, and the peer waits only
// while none has. So each session takes its messages itself, and one whose client does not
// read takes no more. One that has ended meanwhile gives back what it took.
type pull struct {
	none
	jobs chan zmtp.Message          // from the peers to the sessions; nil if there is only one
	back chan zmtp.Message          // from sessions that have ended; these go first
	stop map[*session]chan struct{} // guarded by core.mu
}

func newPull(c *core, shared bool) *pull {
	s := &pull{none: none{c}}
	if shared {
		s.jobs, s.back = make(chan zmtp.Message), make(chan zmtp.Message)
		s.stop = make(map[*session]chan struct{})
	}
	return s
}

// receive returns once a session has m.
func (s *pull) receive(p *peer, m zmtp.Message) error {
	if s.jobs == nil {
		return s.core.pass(p, m)
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

func (s *pull) attached(x *session) {
	if s.jobs == nil {
		return
	}
	stop := make(chan struct{})
	s.stop[x] = stop
	s.core.running.Go(func() { s.serve(x, stop) })
}

func (s *pull) detached(x *session) {
	if s.jobs != nil {
		close(s.stop[x])
		delete(s.stop, x)
	}
}

// serve gives x messages until it takes no more, is detached, or the socket is closed.
func (s *pull) serve(x *session, stop <-chan struct{}) {
	for {
		m, ok := s.next(stop)
		if !ok {
			return
		}
		x.turn <- struct{}{}
		taken := x.receive(m)
		x.flush()
		<-x.turn
		if !taken {
			s.giveBack(m)
			return
		}
	}
}

// next waits for a message. One that was given back goes before those of the peers, so that
// no more of them wait than there were sessions at a time.
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

// giveBack returns once another session has m.
func (s *pull) giveBack(m zmtp.Message) {
	select {
	case s.back <- m:
	case <-s.core.ctx.Done():
	}
}
