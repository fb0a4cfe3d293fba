package history

import (
	"slices"
	"sort"
	"strings"
)

// Filter decides which of the messages that the prefixes match are read (fanout.Filter).
type Filter interface {
	// Allows reports whether a message with this topic can be delivered. It must be quick and
	// must not block.
	Allows(topic []byte) bool
}

// Match selects messages by topic: those that begin with one of its prefixes and that its filter
// allows. It does not change and can be used concurrently.
type Match struct {
	prefixes prefixes
	filter   Filter
}

// NewMatch returns the Match of these prefixes, which are copied. filter may be nil.
func NewMatch(topics [][]byte, filter Filter) *Match {
	return &Match{newPrefixes(topics), filter}
}

// Empty reports whether nothing is selected, since there are no prefixes.
func (m *Match) Empty() bool { return len(m.prefixes) == 0 }

// Matches reports whether a message with this topic is selected.
func (m *Match) Matches(topic []byte) bool {
	return m.prefixes.match(topic) && (m.filter == nil || m.filter.Allows(topic))
}

// prefixes are sorted, and none of them begins with another.
type prefixes []string

func newPrefixes(topics [][]byte) prefixes {
	sorted := make([]string, len(topics))
	for i, t := range topics {
		sorted[i] = string(t)
	}
	slices.Sort(sorted)
	reduced := sorted[:0]
	for _, p := range sorted {
		// What begins with a prefix sorts directly behind it.
		if n := len(reduced); n == 0 || !strings.HasPrefix(p, reduced[n-1]) {
			reduced = append(reduced, p)
		}
	}
	return slices.Clip(reduced)
}

// match reports whether topic begins with a prefix. That can only be the last one that does not
// sort behind it: others between the two would begin with the prefix as well.
func (p prefixes) match(topic []byte) bool {
	if len(p) == 1 {
		return hasPrefix(topic, p[0])
	}
	i := sort.Search(len(p), func(i int) bool { return p[i] > string(topic) })
	return i > 0 && hasPrefix(topic, p[i-1])
}

// hasPrefix is bytes.HasPrefix with a string.
func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// covers reports whether everything that begins with prefix matches.
func (p prefixes) covers(prefix string) bool { return p.match([]byte(prefix)) }
