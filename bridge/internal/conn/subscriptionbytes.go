package conn

import (
	"errors"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/quota"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file bounds the bytes of subscriptions: a backend keeps them in memory, many times over.

// openAccount returns the account of the stream's subscriptions; nil if its clients do not
// subscribe. The user stays the same when the login is renewed.
func (s *stream) openAccount(l *zws.Login) *quota.Account {
	if !s.route.SocketType().Subscribes() {
		return nil
	}
	owner := quota.Owner{User: l.User()}
	if owner.User == "" {
		owner.Network = clientaddr.Network(s.from.Address)
	}
	return quota.Open(&s.conn.set.subscriptions, s.route.Subscriptions(), owner)
}

// excess reports whether the stream ends because tooMuch was returned.
func (s *stream) excess() bool {
	cause, ok := errors.AsType[*zws.CloseError](s.ending())
	return ok && cause.Code == zws.CodeTooMany
}

// take books n bytes, or returns why the client cannot have them.
func (s *stream) take(n int64) error { return s.tooMuch(s.subscriptions.account.Take(n)) }

// retrySubscribing is when a client that has exceeded a bound should come back. Until then
// others may have given something back, or the client may have learned to want less.
const retrySubscribing = time.Minute

// tooMuch returns what the client is told about an error of package quota; nil for nil.
func (s *stream) tooMuch(err error) error {
	exceeded, ok := errors.AsType[*quota.ExceededError](err)
	if !ok {
		return err
	}
	whose := "for one user"
	if s.conn.user() == "" {
		whose = "for anonymous users of one address"
	}
	key := "max_subscription_bytes"
	switch exceeded.Bound {
	case quota.OwnerInAll:
		key = "max_subscription_bytes_per_user"
	case quota.OwnerOnRoute:
		key = "a tenth of " + key
	case quota.Route:
		whose = "on this route"
	}
	return &zws.CloseError{
		Code:       zws.CodeTooMany,
		Reason:     fmt.Sprintf("over %d bytes of subscriptions %s (%s)", exceeded.Limit, whose, key),
		RetryAfter: retrySubscribing,
	}
}

// countRelayed books what a frame of a relay subscribes to, or gives it back. What the client
// has encrypted for the backend cannot be counted.
func (s *stream) countRelayed(m zmtp.Message) error {
	if !s.route.SocketType().Subscribes() {
		return nil
	}
	sub, ok := backend.RelayedSubscription(m)
	if !ok {
		return nil
	}
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if sub.Cancel {
		c := s.subscriptions.replace(string(sub.Topic), rights.Allowed{})
		s.subscriptions.account.Add(c.bytes)
		return nil
	}
	known, err := s.known(sub.Topic)
	if known || err != nil {
		return err
	}
	if err := s.take(int64(len(sub.Topic))); err != nil {
		return err
	}
	s.subscriptions.replace(string(sub.Topic), rights.Allowed{Prefixes: [][]byte{sub.Topic}})
	return nil
}
