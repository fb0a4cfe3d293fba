package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// pull is a PULL socket (30/PIPELINE). The sessions of a shared one are to a peer what
// several PULLs are to a PUSH: a message goes to one that has room, and the peer waits only
// while none has. So each session takes its messages itself, and one whose client does not
// read takes no more.
type pull struct {
	none
	jobs chan zmtp.Message          // from the peers to the sessions; nil if there is only one
	stop map[*session]chan struct{} // guarded by core.mu
}

func newPull(c *core, shared bool) *pull {
	s := &pull{none: none{c}}
	if shared {
		s.jobs, s.stop = make(chan zmtp.Message), make(map[*session]chan struct{})
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

// serve gives x messages until it is detached or the socket is closed.
func (s *pull) serve(x *session, stop <-chan struct{}) {
	for {
		select {
		case m := <-s.jobs:
			x.turn <- struct{}{}
			x.receive(m)
			x.flush()
			<-x.turn
		case <-stop:
			return
		case <-s.core.ctx.Done():
			return
		}
	}
}
