package rights

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The wildcards of a pattern. Each is a literal unless it fills a level.
const (
	oneLevel = "+"
	theRest  = "#"
	// wildcards must not be in the value of a placeholder. The star is a wildcard in the
	// scopes of tokens.
	wildcards = "+#*"
)

// maxLevels limits the work that one pattern makes for one topic.
const maxLevels = 64

// PatternError is why a pattern cannot be parsed.
type PatternError struct {
	Pattern string
	Reason  string
}

func (e *PatternError) Error() string { return fmt.Sprintf("pattern %q: %s", e.Pattern, e.Reason) }

// Pattern is a parsed pattern whose placeholders have no values yet.
type Pattern struct {
	text      string
	separator string
	// literals and placeholders alternate, beginning and ending with a literal.
	literals     []string
	placeholders []string // "user", "claim.NAME" or "meta.NAME"
}

// Parse parses a pattern for topics whose levels are separated by separator: one ASCII
// character, or empty for topics without levels. The error is a *[PatternError].
func Parse(text, separator string) (*Pattern, error) {
	p := &Pattern{text: text, separator: separator}
	if len(separator) > 1 || separator != "" && (separator[0] >= 0x80 || strings.Contains("{}"+wildcards, separator)) {
		return nil, p.fault("separator %q: want one ASCII character other than { } + # *", separator)
	}
	rest := text
	for separator != "" {
		literal, after, found := strings.Cut(rest, "{")
		if !found {
			break
		}
		name, after, found := strings.Cut(after, "}")
		if !found {
			return nil, p.fault("{ without }: want {user}, {claim.NAME} or {meta.NAME}")
		}
		if !validPlaceholder(name) {
			return nil, p.fault("unknown placeholder {%s}: want {user}, {claim.NAME} or {meta.NAME}", name)
		}
		p.literals = append(p.literals, literal)
		p.placeholders = append(p.placeholders, name)
		rest = after
	}
	if separator == "" && strings.Contains(text, "{") {
		return nil, p.fault("placeholders need a separator")
	}
	p.literals = append(p.literals, rest)
	// Values contain no wildcard and no separator, so a letter is as good as any.
	if _, err := p.fill(func(string) string { return "x" }); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pattern) fault(format string, args ...any) error {
	return &PatternError{p.text, fmt.Sprintf(format, args...)}
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.text }

func validPlaceholder(name string) bool {
	if name == "user" {
		return true
	}
	kind, key, _ := strings.Cut(name, ".")
	return (kind == "claim" || kind == "meta") && key != ""
}

// validValue reports whether value may replace a placeholder: it must stay within its level
// and contain no wildcard.
func validValue(value, separator string) bool {
	return value != "" && !strings.Contains(value, separator) && !strings.ContainsAny(value, wildcards+"\x00")
}

// values returns the values of a placeholder.
func (s Subject) values(placeholder string) []string {
	kind, key, _ := strings.Cut(placeholder, ".")
	switch kind {
	case "user":
		return []string{s.User}
	case "claim":
		return s.Claims[key]
	}
	var values []string
	for _, p := range s.Meta {
		if strings.EqualFold(p.Name, key) {
			values = append(values, p.Value)
		}
	}
	return values
}

// Fill returns the pattern with the values of s instead of placeholders: one text for each
// combination of values, none if a placeholder has no value. It stops at [MaxPatterns]. The
// texts are for people: one that ends in a value ends with that level, which it would not do
// as a pattern.
func (p *Pattern) Fill(s Subject) (texts []string) {
	p.combine(s, func(value func(name string) string) (more bool) {
		texts = append(texts, p.write(value))
		return len(texts) < MaxPatterns
	})
	return texts
}

// expand appends the topics that the pattern allows s, one entry for each combination of
// values. It stops soon after [MaxPatterns].
func (p *Pattern) expand(dst []topics, s Subject) []topics {
	p.combine(s, func(value func(name string) string) (more bool) {
		if t, err := p.fill(value); err == nil {
			dst = append(dst, t...)
		}
		return len(dst) <= MaxPatterns
	})
	return dst
}

// combine calls yield with each combination of the values that s has for the placeholders
// until yield returns false.
func (p *Pattern) combine(s Subject, yield func(value func(name string) string) (more bool)) {
	var names []string // each placeholder once: it has one value throughout the pattern
	for _, name := range p.placeholders {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	chosen := make(map[string]string, len(names))
	value := func(name string) string { return chosen[name] }
	var choose func(i int) (more bool)
	choose = func(i int) bool {
		if i == len(names) {
			return yield(value)
		}
		for _, v := range s.values(names[i]) {
			if chosen[names[i]] = v; validValue(v, p.separator) && !choose(i+1) {
				return false
			}
		}
		return true
	}
	choose(0)
}

// write returns the text of the pattern with values instead of placeholders.
func (p *Pattern) write(value func(name string) string) string {
	var b strings.Builder
	for i, literal := range p.literals {
		b.WriteString(literal)
		if i < len(p.placeholders) {
			b.WriteString(value(p.placeholders[i]))
		}
	}
	return b.String()
}

// fill parses the pattern with values instead of placeholders.
func (p *Pattern) fill(value func(name string) string) ([]topics, error) {
	endsInValue := len(p.placeholders) > 0 && p.literals[len(p.literals)-1] == ""
	t, err := newTopics(p.write(value), p.separator, endsInValue)
	if err != nil {
		return nil, p.fault("%v", err)
	}
	return t, nil
}

// topics is a set of topics: all that begin with a prefix, or all that have the levels.
type topics struct {
	prefix string
	levels []string // nil for a prefix; oneLevel matches any level
	rest   bool     // a separator must follow, and any number of levels may
}

// newTopics parses a pattern without placeholders. wholeLevel makes it end with its last
// level even if it contains no wildcard.
func newTopics(text, separator string, wholeLevel bool) ([]topics, error) {
	if separator == "" {
		return []topics{{prefix: text}}, nil
	}
	levels := strings.Split(text, separator)
	if len(levels) > maxLevels {
		return nil, fmt.Errorf("%d levels, at most %d are allowed", len(levels), maxLevels)
	}
	last := len(levels) - 1
	plus := false
	for i, level := range levels {
		switch {
		case level == oneLevel:
			plus = true
		case level == theRest && i < last:
			return nil, errors.New("# must be the last level")
		case level != theRest && strings.ContainsAny(level, oneLevel+theRest):
			return nil, fmt.Errorf("+ and # must fill a whole level between two %q", separator)
		}
	}
	rest := levels[last] == theRest
	switch {
	case plus && rest:
		return []topics{{prefix: literal(levels, separator), levels: levels[:last], rest: true}}, nil
	case plus:
		return []topics{{prefix: literal(levels, separator), levels: levels}}, nil
	case rest:
		return []topics{{prefix: strings.TrimSuffix(text, theRest)}}, nil
	case wholeLevel:
		return []topics{{prefix: text, levels: levels}, {prefix: text + separator}}, nil
	}
	return []topics{{prefix: text}}, nil
}

// literal returns what is before the first wildcard.
func literal(levels []string, separator string) string {
	i := slices.Index(levels, oneLevel)
	return strings.Join(append(slices.Clone(levels[:i]), ""), separator)
}
