package history

import (
	"slices"
	"strings"
)

// coverage is a prefix whose messages are kept since the record of that sequence.
type coverage struct {
	prefix string
	since  uint64
}

// cover changes the coverage to that of l.kept from now on. Lock held on entry.
func (l *Log) cover() {
	l.coverage = slices.DeleteFunc(l.coverage, func(c coverage) bool { return !l.kept.covers(c.prefix) })
	for _, p := range l.kept {
		known := func(c coverage) bool { return strings.HasPrefix(p, c.prefix) }
		if !slices.ContainsFunc(l.coverage, known) {
			l.coverage = append(l.coverage, coverage{p, l.end})
		}
	}
}

// covered reports whether all that begins with one of p was kept since sequence. Lock held on
// entry.
func (l *Log) covered(p prefixes, since uint64) bool {
	for _, prefix := range p {
		kept := func(c coverage) bool { return c.since <= since && strings.HasPrefix(prefix, c.prefix) }
		if !slices.ContainsFunc(l.coverage, kept) {
			return false
		}
	}
	return true
}
