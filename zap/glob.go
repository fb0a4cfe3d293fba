package zap

import (
	"strings"
	"unsafe"
)

// Glob is a pattern for names and topics: the literals between its stars. A star matches any
// bytes, including none, so {"a", ""} is a* and {"", ""} is a lone star. A single literal
// matches only itself, and a Glob without literals matches nothing. Whoever splits a text
// into literals decides how a literal star is written (RabbitMQ: %2A).
type Glob []string

// Match reports whether text matches g. It does not allocate.
//
// RabbitMQ also looks for the last literal at its leftmost place, and so refuses what Match
// allows: "*o" for "foofoo".
func (g Glob) Match(text []byte) bool {
	if len(g) < 2 {
		return len(g) == 1 && string(text) == g[0]
	}
	first, last := g[0], g[len(g)-1]
	if len(text) < len(first)+len(last) || string(text[:len(first)]) != first {
		return false
	}
	end := len(text) - len(last)
	return string(text[end:]) == last && g.middle(text[len(first):end])
}

// Covers reports whether everything that begins with prefix matches g.
func (g Glob) Covers(prefix []byte) bool {
	if len(g) < 2 || g[len(g)-1] != "" || len(prefix) < len(g[0]) || string(prefix[:len(g[0])]) != g[0] {
		return false
	}
	return g.middle(prefix[len(g[0]):])
}

// middle reports whether text holds the literals between the first and the last, one after
// another. The leftmost place of each leaves the most room for the next, so there is no
// backtracking.
func (g Glob) middle(text []byte) bool {
	// bytes.Index would need a copy of each literal, for each message.
	rest := unsafe.String(unsafe.SliceData(text), len(text))
	for _, literal := range g[1 : len(g)-1] {
		i := strings.Index(rest, literal)
		if i < 0 {
			return false
		}
		rest = rest[i+len(literal):]
	}
	return true
}

// String returns the pattern with its stars. A star within a literal looks the same.
func (g Glob) String() string { return strings.Join(g, "*") }
