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
	if !l.o.Replica { // there it comes with the records
		l.coverage = cover(l.coverage, l.kept, l.end)
	}
}

// cover returns all, which it changes, as the coverage of kept from that sequence on.
func cover(all []coverage, kept prefixes, from uint64) []coverage {
	all = slices.DeleteFunc(all, func(c coverage) bool { return !kept.covers(c.prefix) })
	for _, p := range kept {
		known := func(c coverage) bool { return strings.HasPrefix(p, c.prefix) }
		if !slices.ContainsFunc(all, known) {
			all = append(all, coverage{p, from})
		}
	}
	return all
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
