package rights

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zwsbridge/zwsbridge/zap"
)

// MaxPatterns limits the patterns of a grant in each direction, counted after the values of
// claims are filled in.
const MaxPatterns = 10_000

// ErrTooManyPatterns reports that the claims of a login make more than [MaxPatterns]
// patterns.
var ErrTooManyPatterns = fmt.Errorf("the rights of this login have more than %d patterns", MaxPatterns)

// Options configure the patterns of a route.
type Options struct {
	// Separator separates the levels of a topic: one ASCII character, or empty for topics
	// without levels.
	Separator string
	// Narrow replaces a subscription that is wider than allowed by the allowed part of it.
	// Otherwise it is denied.
	Narrow bool
}

// Rule allows a user something. Rules add up; an empty list allows nothing.
type Rule struct {
	User      string   // "*" for every user, the anonymous one included
	Subscribe []string // patterns of the topics to subscribe to and receive
	Send      []string // patterns of the topics to send to
}

// Subject is the login that placeholders take their values from.
type Subject struct {
	User   string              // empty for the anonymous user
	Claims map[string][]string // of its token
	Meta   zap.Metadata        // of the ZAP reply
}

// Policy is the compiled rules of a route. It is safe for concurrent use.
type Policy struct {
	options Options
	rules   []compiledRule

	mu sync.Mutex
	// same has what rules without placeholders make: it is the same for all users whom they
	// allow something, and shared.
	same map[string]*Set
}

type compiledRule struct {
	user            string
	subscribe, send []*Pattern
}

// maxSame limits Policy.same.
const maxSame = 1000

// varies reports whether what the rule allows depends on the login.
func (r *compiledRule) varies() bool {
	placeholders := func(p *Pattern) bool { return len(p.placeholders) > 0 }
	return slices.ContainsFunc(r.subscribe, placeholders) || slices.ContainsFunc(r.send, placeholders)
}

// Compile compiles the rules of a route. A policy without rules allows nothing. The error
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

// For returns what the rules allow s. The error is [ErrTooManyPatterns].
func (p *Policy) For(s Subject) (*Set, error) {
	var rules []compiledRule
	var key []byte // the numbers of these rules
	varies := false
	for i, r := range p.rules {
		if r.user == "*" || r.user == s.User {
			rules, key = append(rules, r), binary.AppendUvarint(key, uint64(i))
			varies = varies || r.varies()
		}
	}
	if varies {
		return p.expand(rules, s)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if set, known := p.same[string(key)]; known {
		return set, nil
	}
	set, err := p.expand(rules, s)
	if err == nil && len(p.same) < maxSame {
		if p.same == nil {
			p.same = make(map[string]*Set)
		}
		p.same[string(key)] = set
	}
	return set, err
}

// expand returns what rules allow s.
func (p *Policy) expand(rules []compiledRule, s Subject) (*Set, error) {
	var subscribe, send []topics
	for _, r := range rules {
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

// FromMetadata returns what the metadata of a ZAP reply allows: its properties Subscribe and
// Send are patterns separated by spaces, without placeholders. If there is only one of the
// two, nothing is allowed in the other direction; if there is neither, the reply does not
// restrict anything, which is [Everything].
func FromMetadata(m zap.Metadata, o Options) (Grant, error) {
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

// Set is the [Grant] that patterns make for one login.
type Set struct {
	options         Options
	subscribe, send matcher
}

func newSet(subscribe, send []topics, o Options) *Set {
	return &Set{o, newMatcher(subscribe, o.Separator), newMatcher(send, o.Separator)}
}

var (
	errSubscribe = fmt.Errorf("%w: subscribing to this topic", ErrDenied)
	errWide      = fmt.Errorf("%w: this subscription is too wide, subscribe to longer topics", ErrDenied)
	errSend      = fmt.Errorf("%w: sending to this topic", ErrDenied)
)

// Subscribe allows a prefix if the patterns allow some of the topics that begin with it. A
// prefix that is shorter than the literal beginnings of those patterns is too wide: it is
// narrowed or denied, depending on Options.Narrow. It never blocks.
func (s *Set) Subscribe(_ context.Context, prefix []byte) (Allowed, error) {
	switch s.subscribe.reach(string(prefix)) {
	case reachAll:
		return Allowed{Prefixes: [][]byte{prefix}}, nil
	case reachSome:
		return Allowed{Prefixes: [][]byte{prefix}, Filter: true}, nil
	}
	below, filter := s.subscribe.below(string(prefix))
	switch {
	case len(below) == 0:
		return Allowed{}, errSubscribe
	case !s.options.Narrow:
		return Allowed{}, errWide
	}
	return Allowed{Prefixes: below, Filter: filter}, nil
}

// Empty reports whether nothing is allowed.
func (s *Set) Empty() bool { return s.subscribe.empty() && s.send.empty() }

// Deliver reports whether a pattern allows the topic.
func (s *Set) Deliver(topic []byte) bool { return s.subscribe.match(topic) }

// Send allows a topic that a pattern allows. It never blocks.
func (s *Set) Send(_ context.Context, topic []byte) error {
	if !s.send.match(topic) {
		return errSend
	}
	return nil
}

// Whole reports whether a pattern allows every topic.
func (s *Set) Whole() (receive, send bool) { return s.subscribe.whole(), s.send.whole() }
