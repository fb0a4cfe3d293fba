package rights

import (
	"context"
	"fmt"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// MaxPatterns is how many patterns a session's rights may have in each direction once the
// values of claims are filled in.
const MaxPatterns = 10_000

// ErrTooManyPatterns: the claims of a login make more than [MaxPatterns] patterns.
var ErrTooManyPatterns = fmt.Errorf("rights of more than %d patterns", MaxPatterns)

// Options says how the patterns of a route are read.
type Options struct {
	// Separator stands between the levels of a topic: one ASCII character, or empty for
	// topics without levels.
	Separator string
	// Narrow makes a subscription that is wider than allowed subscribe to what is
	// allowed of it. Otherwise it is denied.
	Narrow bool
}

// Rule grants rights to a user. Rules add up. A list that is empty grants nothing.
type Rule struct {
	User      string   // "*" for everybody, the anonymous user included
	Subscribe []string // patterns of what may be subscribed to and delivered
	Send      []string // patterns of what may be sent
}

// Subject is who has logged in: what placeholders stand for.
type Subject struct {
	User   string              // empty for the anonymous user
	Claims map[string][]string // of its token
	Meta   zap.Metadata        // of the ZAP reply
}

// Policy is the compiled rules of a route. It is safe for concurrent use.
type Policy struct {
	options Options
	rules   []compiledRule
}

type compiledRule struct {
	user            string
	subscribe, send []*Pattern
}

// Compile reads the rules of a route. Without rules the policy grants nothing. The error
// names the rule, the field and the pattern.
func Compile(rules []Rule, o Options) (*Policy, error) {
	p := &Policy{options: o}
	for i, r := range rules {
		c := compiledRule{user: r.User}
		var err error
		if c.subscribe, err = parseAll(r.Subscribe, o.Separator); err != nil {
			return nil, fmt.Errorf("allow[%d].subscribe: %w", i, err)
		}
		if c.send, err = parseAll(r.Send, o.Separator); err != nil {
			return nil, fmt.Errorf("allow[%d].send: %w", i, err)
		}
		p.rules = append(p.rules, c)
	}
	return p, nil
}

func parseAll(texts []string, separator string) ([]*Pattern, error) {
	patterns := make([]*Pattern, 0, len(texts))
	for _, text := range texts {
		p, err := Parse(text, separator)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// For gives the rights of s. The error is [ErrTooManyPatterns].
func (p *Policy) For(s Subject) (*Set, error) {
	var subscribe, send []topics
	for _, r := range p.rules {
		if r.user != "*" && r.user != s.User {
			continue
		}
		var err error
		if subscribe, err = expandAll(subscribe, r.subscribe, s); err != nil {
			return nil, err
		}
		if send, err = expandAll(send, r.send, s); err != nil {
			return nil, err
		}
	}
	return newSet(subscribe, send, p.options), nil
}

func expandAll(dst []topics, patterns []*Pattern, s Subject) ([]topics, error) {
	for _, p := range patterns {
		if dst = p.expand(dst, s); len(dst) > MaxPatterns {
			return nil, ErrTooManyPatterns
		}
	}
	return dst, nil
}

// FromMetadata gives the rights that a ZAP handler has put into its reply: the properties
// Subscribe and Send, each a list of patterns separated by spaces, in which placeholders
// have no meaning. A reply with one of the two grants nothing of the other; one with
// neither says nothing about rights, which is [Everything].
func FromMetadata(m zap.Metadata, o Options) (Rights, error) {
	subscribe, some := m.Lookup("Subscribe")
	send, more := m.Lookup("Send")
	if !some && !more {
		return Everything, nil
	}
	allowed, err := literals(subscribe, o.Separator)
	if err != nil {
		return nil, fmt.Errorf("ZAP metadata Subscribe: %w", err)
	}
	sendable, err := literals(send, o.Separator)
	if err != nil {
		return nil, fmt.Errorf("ZAP metadata Send: %w", err)
	}
	return newSet(allowed, sendable, o), nil
}

func literals(list, separator string) ([]topics, error) {
	var all []topics
	for _, text := range strings.Fields(list) {
		t, err := newTopics(text, separator, false)
		if err != nil {
			return nil, err
		}
		if all = append(all, t...); len(all) > MaxPatterns {
			return nil, ErrTooManyPatterns
		}
	}
	return all, nil
}

// Set is the [Rights] that patterns give to one session.
type Set struct {
	options         Options
	subscribe, send matcher
}

func newSet(subscribe, send []topics, o Options) *Set {
	return &Set{o, newMatcher(subscribe, o.Separator), newMatcher(send, o.Separator)}
}

var (
	errSubscribe = fmt.Errorf("%w: to subscribe to this topic", ErrDenied)
	errWide      = fmt.Errorf("%w: to subscribe this widely", ErrDenied)
	errSend      = fmt.Errorf("%w: to send to this topic", ErrDenied)
)

// Subscribe allows a prefix if all or some of the topics that begin with it are allowed.
// A prefix that is shorter than what the patterns that meet it begin with is too wide: it
// is narrowed or denied, as the options say. It never blocks.
func (s *Set) Subscribe(_ context.Context, prefix []byte) (Grant, error) {
	switch s.subscribe.reach(string(prefix)) {
	case reachAll:
		return Grant{Prefixes: [][]byte{prefix}}, nil
	case reachSome:
		return Grant{Prefixes: [][]byte{prefix}, Filter: true}, nil
	}
	below, filter := s.subscribe.below(string(prefix))
	switch {
	case len(below) == 0:
		return Grant{}, errSubscribe
	case !s.options.Narrow:
		return Grant{}, errWide
	}
	return Grant{Prefixes: below, Filter: filter}, nil
}

// Empty tells that nothing at all is allowed.
func (s *Set) Empty() bool { return s.subscribe.empty() && s.send.empty() }

// Deliver tells whether a pattern allows the topic.
func (s *Set) Deliver(topic []byte) bool { return s.subscribe.match(topic) }

// Send allows a topic that a pattern allows. It never blocks.
func (s *Set) Send(_ context.Context, topic []byte) error {
	if !s.send.match(topic) {
		return errSend
	}
	return nil
}

// Whole tells whether a pattern allows every topic.
func (s *Set) Whole() (receive, send bool) { return s.subscribe.whole(), s.send.whole() }
