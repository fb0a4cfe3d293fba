package natsstore

import (
	"bytes"
	"fmt"
	"slices"
)

// compareTopics notes, and logs once, that the leader keeps other topics than this bridge is
// configured to have.
func (s *Share) compareTopics() {
	s.mu.Lock()
	theirs, here := sorted(s.lease.Topics), sorted(s.bounds.Topics)
	var err error
	if len(theirs) > 0 && s.lease.Holder != s.o.Bridge && !slices.EqualFunc(theirs, here, bytes.Equal) {
		err = fmt.Errorf("the bridge %s, which writes, keeps the topics %q, this one %q: give the route the same topics on all bridges", s.lease.Holder, theirs, here)
	}
	was := s.differs
	s.differs = err
	s.mu.Unlock()
	switch {
	case err != nil && fmt.Sprint(err) != fmt.Sprint(was):
		s.o.Logger.Error("history: bridges have different configurations", "error", err.Error())
	case err == nil && was != nil:
		s.o.Logger.Info("history: bridges have the same configuration again")
	}
}

func sorted(topics [][]byte) [][]byte {
	return slices.SortedFunc(slices.Values(topics), bytes.Compare)
}

// Differs returns in what the configuration of this bridge differs from that of the bridge that
// writes; nil if it does not, as far as is known.
func (s *Share) Differs() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.differs
}
