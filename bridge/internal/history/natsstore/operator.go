package natsstore

import (
	"encoding/json"
	"fmt"

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

// serveOperate answers what other bridges ask by Operate, until the returned function is called.
func (s *Share) serveOperate() (stop func()) {
	if s.o.Operate == nil {
		return func() {}
	}
	sub, err := s.conn.Subscribe(s.operateSubject, func(m *nats.Msg) { _ = m.Respond(s.o.Operate(m.Data)) })
	if err != nil {
		return func() {} // the connection is closed
	}
	return func() { _ = sub.Unsubscribe() }
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
