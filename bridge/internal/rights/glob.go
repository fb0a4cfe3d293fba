package rights

import (
	"bytes"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Glob is a pattern of the kind that the scopes of tokens hold. How a star and a literal
// "*" are told apart is the business of whoever splits the text (RabbitMQ: %2A).
type Glob = zap.Glob

// NewGlobs gives the rights that globs describe: what may be subscribed to and delivered,
// and what may be sent. A Glob without any literal allows nothing.
func NewGlobs(subscribe, send []Glob, narrow bool) *Set {
	return &Set{Options{Narrow: narrow}, newGlobMatcher(subscribe), newGlobMatcher(send)}
}

func newGlobMatcher(union []Glob) (m matcher) {
	for _, g := range union {
		switch {
		case len(g) == 0:
		case len(g) == 2 && g[1] == "": // one star, at the end
			m.prefixes = append(m.prefixes, g[0])
		default:
			literals := make(glob, len(g))
			for i, literal := range g {
				literals[i] = []byte(literal)
			}
			m.globs = append(m.globs, literals)
		}
	}
	m.prefixes = prefixFree(m.prefixes)
	return m
}

// glob is a [Glob] as it is matched.
type glob [][]byte

// match tells whether topic is first, anything, middle, anything …, last. The leftmost
// place of each literal leaves the most room for the next, so none has to be tried again.
func (g glob) match(topic []byte) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return bytes.Equal(topic, first)
	}
	if len(topic) < len(first)+len(last) || !bytes.HasPrefix(topic, first) || !bytes.HasSuffix(topic, last) {
		return false
	}
	return g.middle(topic[len(first) : len(topic)-len(last)])
}

// middle finds the literals between the first and the last in text, one after another.
func (g glob) middle(text []byte) bool {
	for _, literal := range g[1 : len(g)-1] {
		i := bytes.Index(text, literal)
		if i < 0 {
			return false
		}
		text = text[i+len(literal):]
	}
	return true
}

// reach says how much of what begins with prefix the glob matches; nothing if prefix does
// not hold the whole first literal.
func (g glob) reach(prefix []byte) reach {
	switch {
	case !bytes.HasPrefix(prefix, g[0]) || len(g) == 1 && len(prefix) > len(g[0]):
		return reachNone
	case len(g) > 1 && len(g[len(g)-1]) == 0 && g.middle(prefix[len(g[0]):]):
		return reachAll
	}
	return reachSome // the first star takes the rest of the prefix
}
