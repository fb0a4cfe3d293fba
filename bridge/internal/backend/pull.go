package backend

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// pull is a PULL socket (30/PIPELINE). The streams of a shared one are to a peer what several
// PULLs are to a PUSH: a message goes to one that has room and may have it. So each stream
// takes its jobs itself, and one whose client does not read takes no more. A stream that has
// ended in between gives back what it took.
type pull struct {
	none
	jobs *jobs // nil if not shared
}

func newPull(c *core, shared bool) *pull {
	s := &pull{none: none{c}}
	if shared {
		s.jobs = newJobs()
	}
	return s
}

// receive adds a job. It waits while as many jobs wait for p's owner as may, and with it p,
// but no peer of another owner.
func (s *pull) receive(p *peer, m zmtp.Message) error {
	if s.jobs == nil {
		return s.core.pass(p, m)
	}
	if !p.mayPublish(m) {
		return nil
	}
	j := &job{m: owned(m), p: p}
	c := s.core
	c.mu.Lock()
	defer c.mu.Unlock()
	for s.jobs.full(p.owner, &c.o) && !c.closing {
		c.changed.Wait()
	}
	if c.closing {
		return ErrClosed
	}
	s.jobs.add(j)
	s.offer(j)
	return nil
}

// offer gives j to the stream that has been idle for longest of those that may have it.
// Streams that are busy look for it themselves later. Lock held on entry; it is released
// while a stream is asked.
func (s *pull) offer(j *job) {
	for _, w := range slices.Clone(s.jobs.idle) {
		if j.taken {
			return
		}
		version := w.version
		if s.may(w, j) && w.idle && w.version == version && !j.taken {
			s.jobs.hand(w, j)
			s.core.changed.Broadcast()
			return
		}
	}
}

// may asks whether the stream of w may have j. It releases the lock meanwhile. Lock held on
// entry.
func (s *pull) may(w *worker, j *job) bool {
	ask := w.st.o.MayReceive
	if ask == nil {
		return true
	}
	s.core.mu.Unlock()
	defer s.core.mu.Lock()
	return ask(j.m)
}

func (s *pull) attached(st *stream) {
	if s.jobs != nil {
		w := s.jobs.join(st)
		s.core.running.Go(func() { s.serve(w) })
	}
}

func (s *pull) detached(st *stream) {
	if s.jobs == nil {
		return
	}
	if j := s.jobs.leave(st); j != nil {
		s.jobs.giveBack(j)
	}
}

// rechecked offers st all jobs again.
func (s *pull) rechecked(st *stream) {
	if s.jobs != nil {
		s.jobs.workers[st].restart(s.jobs, 0)
	}
}

// serve gives the stream of w jobs until it takes no more or is detached.
func (s *pull) serve(w *worker) {
	for {
		j := s.next(w)
		if j == nil {
			return
		}
		w.st.turn <- struct{}{}
		taken := w.st.receive(j.m)
		w.st.flush()
		<-w.st.turn
		if !taken {
			s.core.mu.Lock()
			s.jobs.giveBack(j)
			s.core.mu.Unlock()
			return
		}
	}
}

// next waits for a job that the stream of w may have; nil when it was detached.
func (s *pull) next(w *worker) *job {
	c := s.core
	c.mu.Lock()
	defer c.mu.Unlock()
	for !w.stopped {
		if j := w.given; j != nil {
			w.given = nil
			return j
		}
		j := s.jobs.after(w.seen)
		if j == nil {
			s.jobs.rest(w)
			c.mu.Unlock()
			<-w.wake
			c.mu.Lock()
			continue
		}
		version := w.version
		may := s.may(w, j)
		switch {
		case w.version != version: // asks again
		case may && !j.taken && !w.stopped:
			s.jobs.remove(j)
			c.changed.Broadcast()
			return j
		default:
			w.seen = j.number
		}
	}
	return nil
}

func (s *pull) waiting() int {
	if s.jobs == nil {
		return 0
	}
	return len(s.jobs.list)
}
