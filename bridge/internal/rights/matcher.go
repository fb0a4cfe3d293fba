package rights

import (
	"bytes"
	"slices"
	"sort"
	"strings"
)

// matcher answers for a union of topics. It is built once and then only read.
type matcher struct {
	separator string
	// prefixes are sorted and none begins with another, so that only the greatest one
	// that is not above a topic can be its prefix.
	prefixes []string
	// leveled are the topics that are matched level by level, and root is the same as a
	// tree, so that a message costs the depth of the tree and not their number.
	leveled []topics
	root    *level
	globs   []Glob
}

// level is a node of the tree: what may follow on the levels above it.
type level struct {
	next map[string]*level
	any  *level // under oneLevel
	end  bool   // a topic may end here
	rest bool   // anything may follow
}

func newMatcher(union []topics, separator string) matcher {
	m := matcher{separator: separator}
	for _, t := range union {
		if t.levels == nil {
			m.prefixes = append(m.prefixes, t.prefix)
			continue
		}
		m.leveled = append(m.leveled, t)
		if m.root == nil {
			m.root = new(level)
		}
		m.root.insert(t)
	}
	m.prefixes = prefixFree(m.prefixes)
	return m
}

// prefixFree sorts s and leaves out what begins with another of s.
func prefixFree(s []string) []string {
	slices.Sort(s)
	kept := s[:0]
	for _, p := range s {
		if len(kept) == 0 || !strings.HasPrefix(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

func (l *level) insert(t topics) {
	for _, name := range t.levels {
		l = l.child(name)
	}
	l.end = l.end || !t.rest
	l.rest = l.rest || t.rest
}

func (l *level) child(name string) *level {
	if name == oneLevel {
		if l.any == nil {
			l.any = new(level)
		}
		return l.any
	}
	if l.next == nil {
		l.next = make(map[string]*level)
	}
	c := l.next[name]
	if c == nil {
		c = new(level)
		l.next[name] = c
	}
	return c
}

// match tells whether topic is in the union. It does not allocate.
func (m *matcher) match(topic []byte) bool {
	if m.hasPrefixOf(topic) || m.root != nil && m.root.match(topic, m.separator[0]) {
		return true
	}
	return slices.ContainsFunc(m.globs, func(g Glob) bool { return g.Match(topic) })
}

func (m *matcher) hasPrefixOf(topic []byte) bool {
	i := sort.Search(len(m.prefixes), func(i int) bool { return m.prefixes[i] > string(topic) })
	return i > 0 && len(m.prefixes[i-1]) <= len(topic) && m.prefixes[i-1] == string(topic[:len(m.prefixes[i-1])])
}

// match tells whether the levels of topic lead from l to where a topic may end.
func (l *level) match(topic []byte, separator byte) bool {
	name, after := topic, []byte(nil)
	i := bytes.IndexByte(topic, separator)
	if i >= 0 {
		name, after = topic[:i], topic[i+1:]
	}
	for _, c := range [2]*level{l.next[string(name)], l.any} {
		switch {
		case c == nil:
		case i < 0:
			if c.end {
				return true
			}
		case c.rest || c.match(after, separator):
			return true
		}
	}
	return false
}

// reach says how much of the topics that begin with a prefix a union holds, as far as one
// subscription to that prefix is the narrowest that ZeroMQ can make for it.
type reach int

const (
	reachNone reach = iota // nothing, or only what a longer prefix would bring as well
	reachSome
	reachAll
)

func (m *matcher) reach(prefix string) reach {
	if m.hasPrefixOf([]byte(prefix)) {
		return reachAll
	}
	best := reachNone
	for _, t := range m.leveled {
		if strings.HasPrefix(prefix, t.prefix) {
			best = max(best, t.reach(prefix, m.separator))
		}
	}
	for _, g := range m.globs {
		best = max(best, globReach(g, []byte(prefix)))
	}
	return best
}

// reach follows the levels as far as prefix goes. Whatever it leaves open can be filled
// so that a topic of t comes out.
func (t topics) reach(prefix, separator string) reach {
	for _, want := range t.levels {
		name, after, more := strings.Cut(prefix, separator)
		switch {
		case !more && (want == oneLevel || strings.HasPrefix(want, name)):
			return reachSome
		case !more || want != oneLevel && want != name:
			return reachNone
		}
		prefix = after
	}
	if t.rest {
		return reachAll
	}
	return reachNone
}

// below gives the shortest prefixes longer than prefix that the union begins with, and
// whether some of them bring more than the union holds.
func (m *matcher) below(prefix string) (longer [][]byte, filter bool) {
	var found []string
	for _, p := range m.prefixes {
		if strings.HasPrefix(p, prefix) {
			found = append(found, p)
		}
	}
	for _, t := range m.leveled {
		if strings.HasPrefix(t.prefix, prefix) {
			found = append(found, t.prefix)
			filter = true
		}
	}
	for _, g := range m.globs {
		if first := g[0]; strings.HasPrefix(first, prefix) {
			found = append(found, first)
			filter = true
		}
	}
	for _, p := range prefixFree(found) {
		longer = append(longer, []byte(p))
	}
	return longer, filter
}

func (m *matcher) empty() bool { return len(m.prefixes)+len(m.leveled)+len(m.globs) == 0 }

// whole tells that every topic is in the union, by one prefix: several that together leave
// nothing out do not count.
func (m *matcher) whole() bool { return m.hasPrefixOf(nil) }
