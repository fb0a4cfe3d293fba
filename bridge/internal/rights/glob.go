package rights

import (
	"bytes"

	"github.com/zwsbridge/zwsbridge/zap"
)

// NewGlobs returns the grant that the globs of a token's scopes describe: which topics may be
// subscribed to and received, and which sent to. narrow is Options.Narrow.
func NewGlobs(subscribe, send []zap.Glob, narrow bool) *Set {
	return &Set{Options{Narrow: narrow}, newGlobMatcher(subscribe), newGlobMatcher(send)}
}

func newGlobMatcher(union []zap.Glob) (m matcher) {
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

// globReach returns how much of what begins with prefix the glob matches: nothing if prefix
// does not contain the whole first literal.
func globReach(g zap.Glob, prefix []byte) reach {
	switch {
	case !bytes.HasPrefix(prefix, []byte(g[0])) || len(g) == 1 && len(prefix) > len(g[0]):
		return reachNone
	case g.Covers(prefix):
		return reachAll
	}
	return reachSome // the first star matches the rest of the prefix
}
