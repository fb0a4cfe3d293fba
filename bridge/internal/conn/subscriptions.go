package conn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/bridge/internal/quota"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// subscriptions are those of one client, and what each of them is upstream: the same topic,
// or the narrower ones that its rights allow. A client's subscriptions are a set: jszmq and
// libzmq repeat one on reconnect and cancel it once.
type subscriptions struct {
	account *quota.Account // of what they are upstream; nil on routes without subscriptions

	mu     sync.Mutex
	topics topicSet
	// narrowed: one of them is something else than itself upstream.
	narrowed bool
	// filtered: one of them brings messages that the client may not see.
	filtered bool
	// lapsed: the bridge has dropped one of them. Messages for it are on their way until
	// the backend knows.
	lapsed atomic.Bool
}

// change is what has to be done upstream.
type change struct {
	subscribe, unsubscribe [][]byte
	filtered               bool
	bytes                  int64 // that the topics have more, or less, than before
}

// replace makes the subscription to topic what was granted; without prefixes it is gone. The
// first grant that needs the filter is subscribed to again, which turns the filter on.
func (s *subscriptions) replace(topic string, granted rights.Allowed) change {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := granted.Filter && !s.filtered
	s.filtered = s.filtered || granted.Filter
	before := s.topics.get(topic)
	if len(granted.Prefixes) == 0 {
		s.topics.remove(topic)
	} else {
		s.topics.put(topic, granted.Prefixes)
		s.narrowed = s.narrowed || len(granted.Prefixes) > 1 || string(granted.Prefixes[0]) != topic
	}
	c := change{filtered: s.filtered}
	for _, p := range granted.Prefixes {
		added := !contains(before, p) && !s.elsewhere(topic, p)
		if added {
			c.bytes += int64(len(p))
		}
		if added || again {
			c.subscribe = append(c.subscribe, p)
		}
	}
	for _, p := range before {
		if !contains(granted.Prefixes, p) && !s.elsewhere(topic, p) {
			c.unsubscribe = append(c.unsubscribe, p)
			c.bytes -= int64(len(p))
		}
	}
	return c
}

// elsewhere reports whether prefix is subscribed to upstream because of a subscription other
// than topic. Lock held on entry.
func (s *subscriptions) elsewhere(topic string, prefix []byte) bool {
	if !s.narrowed {
		return false // each is itself
	}
	for t, prefixes := range s.topics.all {
		if t != topic && contains(prefixes, prefix) {
			return true
		}
	}
	return false
}

func contains(topics [][]byte, topic []byte) bool {
	return slices.ContainsFunc(topics, func(t []byte) bool { return bytes.Equal(t, topic) })
}

// current reports whether a message is for a subscription that the client has, as far as
// that can be in doubt.
func (s *subscriptions) current(topic []byte) bool {
	if !s.lapsed.Load() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, prefixes := range s.topics.all {
		if slices.ContainsFunc(prefixes, func(p []byte) bool { return bytes.HasPrefix(topic, p) }) {
			return true
		}
	}
	return false
}

// has reports whether the client is subscribed to topic, and returns how many subscriptions
// it has.
func (s *subscriptions) has(topic []byte) (known bool, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics.get(string(topic)) != nil, s.topics.size()
}

func (s *subscriptions) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]string, 0, s.topics.size())
	for topic := range s.topics.all {
		list = append(list, topic)
	}
	return list
}

// subscribe adds or removes one subscription of the client.
func (s *stream) subscribe(ctx context.Context, sub zmtp.Subscription) error {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if sub.Cancel {
		s.remember(sub)
		return s.grant(ctx, string(sub.Topic), rights.Allowed{})
	}
	known, err := s.known(sub.Topic)
	if known || err != nil {
		return err
	}
	_, c, _, err := s.add(ctx, sub.Topic)
	if err != nil {
		return err
	}
	s.remember(sub)
	return s.change(ctx, c)
}

// add makes topic one of the client's subscriptions, as far as its rights allow, and returns what
// was granted and what is to be done upstream. With an error, denied means that the rights do not
// allow it. s.deciding held on entry.
func (s *stream) add(ctx context.Context, topic []byte) (granted rights.Allowed, c change, denied bool, err error) {
	// The rights are not asked about what would be too much anyway. They never shorten a topic.
	size := int64(len(topic))
	if known, _ := s.subscriptions.has(topic); known { // a client that asks for its last values
		size = 0
	}
	if err := s.take(size); err != nil {
		return granted, c, false, err
	}
	granted, err = s.rights.Load().Subscribe(ctx, topic)
	if err != nil {
		s.subscriptions.account.Add(-size)
		return granted, c, errors.Is(err, rights.ErrDenied), route.Denied(err)
	}
	c = s.subscriptions.replace(string(topic), granted)
	return granted, c, false, s.take(c.bytes - size) // an error ends the stream, and its account
}

// known reports whether the client is subscribed to topic. If it is not, and must not have this
// subscription or one more, known returns an error.
func (s *stream) known(topic []byte) (bool, error) {
	rules := s.route.Rules()
	if len(topic) > rules.MaxTopic {
		return false, &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
			Reason: fmt.Sprintf("topic of %d bytes: at most %d are allowed", len(topic), rules.MaxTopic)}
	}
	known, number := s.subscriptions.has(topic)
	if most := rules.MaxSubscriptions; !known && number >= most {
		return false, &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: fmt.Sprintf("more than %d subscriptions", most)}
	}
	return known, nil
}

// grant makes the client's subscription to topic what was granted, and changes upstream what
// follows from that, whatever it counts.
func (s *stream) grant(ctx context.Context, topic string, granted rights.Allowed) error {
	c := s.subscriptions.replace(topic, granted)
	s.subscriptions.account.Add(c.bytes)
	return s.change(ctx, c)
}

// change changes the subscriptions upstream.
func (s *stream) change(ctx context.Context, c change) error {
	if len(c.subscribe) > 0 {
		if err := s.socket.Subscribe(ctx, c.filtered, c.subscribe...); err != nil {
			return err
		}
	}
	if len(c.unsubscribe) > 0 {
		return s.socket.Unsubscribe(ctx, c.unsubscribe...)
	}
	return nil
}

// adopt replaces the rights and re-evaluates all subscriptions by them. It returns how many
// were dropped. If what the others are upstream has grown beyond a bound, it returns an error.
// s.deciding held on entry.
func (s *stream) adopt(ctx context.Context, r *route.Rights) (dropped int, err error) {
	before := s.subscriptions.account.Held()
	s.rights.Store(r)
	s.socket.Recheck()
	for _, topic := range s.subscriptions.all() {
		granted, err := r.Subscribe(ctx, []byte(topic))
		denied := errors.Is(err, rights.ErrDenied)
		if err != nil && !denied {
			return dropped, route.Denied(err)
		}
		if err := s.grant(ctx, topic, granted); err != nil {
			return dropped, err
		}
		if denied {
			dropped++
			s.subscriptions.lapsed.Store(true)
			s.remember(zmtp.Subscription{Topic: []byte(topic), Cancel: true})
			if err := s.unsubscribed([]byte(topic), r.Rules.MaxSubscriptions); err != nil {
				return dropped, err
			}
		}
	}
	if s.subscriptions.account.Held() > before {
		err = s.tooMuch(s.subscriptions.account.Exceeded())
	}
	return dropped, err
}
