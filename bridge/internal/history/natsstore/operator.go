package natsstore

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// Operate gives the bridge that leads what an operator has asked of this one, and returns the result of
// its Options.Operate. The error says that no bridge has answered.
func (s *Share) Operate(request []byte) (reply []byte, err error) {
	m, err := s.conn.Request(s.operateSubject, request, s.o.Lease)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoLeader, err)
	}
	return m.Data, nil
}

// serve answers requests of other bridges with f, one at a time, until the returned function is called,
// which waits for the last one.
func (s *Share) serve(subject string, f func(request []byte) (reply []byte)) (stop func()) {
	var answering sync.Mutex
	stopped := false
	sub, err := s.conn.Subscribe(subject, func(m *nats.Msg) {
		answering.Lock()
		defer answering.Unlock()
		if !stopped {
			_ = m.Respond(f(m.Data))
		}
	})
	if err != nil {
		return func() {} // the connection is closed
	}
	return func() {
		_ = sub.Unsubscribe()
		answering.Lock()
		defer answering.Unlock()
		stopped = true
	}
}

// SetOperator tells the other bridges, while this one leads, what operators have changed. The next
// leader goes on with it.
func (s *Share) SetOperator(changes json.RawMessage) {
	s.mu.Lock()
	same := string(changes) == string(s.operator)
	s.operator = changes
	s.mu.Unlock()
	if !same {
		wake(s.renew)
	}
}

// Operator returns what operators have changed by what the leader has said last; nil if no leader was
// heard of since the start. It outlives each bridge, but not all of them.
func (s *Share) Operator() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.operator
}

func orEmpty(changes json.RawMessage) json.RawMessage {
	if changes == nil {
		return json.RawMessage("{}")
	}
	return changes
}
