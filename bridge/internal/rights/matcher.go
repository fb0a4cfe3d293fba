package rights

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// matcher matches topics against a union of patterns. It is not changed once it is built.
type matcher struct {
	separator string
	// prefixes are sorted and none begins with another, so that only the greatest one that
	// does not sort after a topic can be its prefix.
	prefixes []string
	// leveled are the patterns that are matched level by level, and root is the same as a
	// tree, so that matching a message costs the depth of the tree, not their number.
	leveled []topics
	root    *level
	globs   []zap.Glob
}

// level is a node of the tree: what may follow after the levels that lead to it.
type level struct {
	next map[string]*level
	any  *level // for oneLevel
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

// prefixFree sorts s in place and removes what begins with another element.
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

// match reports whether topic is in the union. It does not allocate.
func (m *matcher) match(topic []byte) bool {
	if m.hasPrefixOf(topic) || m.root != nil && m.root.match(topic, m.separator[0]) {
		return true
	}
	return slices.ContainsFunc(m.globs, func(g zap.Glob) bool { return g.Match(topic) })
}

func (m *matcher) hasPrefixOf(topic []byte) bool {
	i := sort.Search(len(m.prefixes), func(i int) bool { return m.prefixes[i] > string(topic) })
	return i > 0 && len(m.prefixes[i-1]) <= len(topic) && m.prefixes[i-1] == string(topic[:len(m.prefixes[i-1])])
}

// match reports whether the levels of topic lead from l to where a topic may end.
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

// reach is how much of the topics that begin with a prefix a union contains, in so far as a
// subscription to that prefix is the narrowest that ZeroMQ can make for it.
type reach int

const (
	reachNone reach = iota // nothing, or only what a longer prefix would bring too
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

// reach follows the levels as far as prefix goes. What prefix leaves open can be completed to
// a topic of t.
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

// below returns the shortest prefixes longer than prefix that together bring all of the union
// that begins with prefix, and whether some of them bring more than the union contains.
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

// whole reports whether one prefix alone contains every topic. Several that together leave
// nothing out do not count.
func (m *matcher) whole() bool { return m.hasPrefixOf(nil) }
