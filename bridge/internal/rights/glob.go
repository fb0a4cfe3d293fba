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
			m.globs = append(m.globs, g)
		}
	}
	m.prefixes = prefixFree(m.prefixes)
	return m
}

// globReach reports how much of what begins with prefix the glob matches: nothing if prefix
// does not hold the whole first literal.
func globReach(g Glob, prefix []byte) reach {
	switch {
	case !bytes.HasPrefix(prefix, []byte(g[0])) || len(g) == 1 && len(prefix) > len(g[0]):
		return reachNone
	case g.Covers(prefix):
		return reachAll
	}
	return reachSome // the first star takes the rest of the prefix
}
