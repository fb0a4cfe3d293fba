package config

import (
	"fmt"
	"strings"
)

// lineIndex holds the line of each table, key and array entry of a TOML file, which the TOML
// library reports for syntax errors only. Entries of arrays, [[tables]] included, have their
// index in the key: route[1].allow[0].user.
type lineIndex map[string]int

// line returns the line of key, or else of the innermost table or entry around it; 0 for the
// empty key.
func (x lineIndex) line(key string) int {
	for key != "" {
		if n, ok := x[key]; ok {
			return n
		}
		key = key[:max(strings.LastIndexByte(key, '.'), strings.LastIndexByte(key, '['), 0)]
	}
	return 0
}

// indexLines builds the index of a text that must be valid TOML: it looks only for brackets,
// quotes and keys, and does not interpret values.
func indexLines(text string) lineIndex {
	s := lineScanner{text: text, line: 1, found: make(lineIndex), entries: make(map[string]int)}
	table := ""
	for s.skip(" \t\r\n"); s.pos < len(s.text); s.skip(" \t\r\n") {
		if s.peek() == '[' {
			table = s.header()
			continue
		}
		s.pair(table)
	}
	return s.found
}

type lineScanner struct {
	text    string
	pos     int
	line    int
	found   lineIndex
	entries map[string]int // entries of each array of tables so far
}

func (s *lineScanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *lineScanner) next() {
	if s.peek() == '\n' {
		s.line++
	}
	s.pos++
}

// skip passes over comments and the bytes in set.
func (s *lineScanner) skip(set string) {
	for s.pos < len(s.text) {
		switch c := s.peek(); {
		case c == '#':
			for s.pos < len(s.text) && s.peek() != '\n' {
				s.next()
			}
		case strings.IndexByte(set, c) >= 0:
			s.next()
		default:
			return
		}
	}
}

// header reads [table] or [[table]] and returns the path of that table.
func (s *lineScanner) header() string {
	line := s.line
	s.next()
	array := s.peek() == '['
	if array {
		s.next()
	}
	names := s.key(']')
	s.next()
	if array {
		s.next()
	}
	path := ""
	for i, name := range names {
		path = joinKey(path, name)
		last := i == len(names)-1
		if array && last {
			s.entries[path]++
		}
		s.note(path, line)
		if n := s.entries[path]; n > 0 {
			path = fmt.Sprintf("%s[%d]", path, n-1)
		}
	}
	s.note(path, line)
	return path
}

// note records the first line of path: a dotted key can open a table before its header does.
func (s *lineScanner) note(path string, line int) {
	if _, ok := s.found[path]; !ok {
		s.found[path] = line
	}
}

// key reads a dotted key up to end.
func (s *lineScanner) key(end byte) (names []string) {
	for s.pos < len(s.text) && s.peek() != end {
		switch c := s.peek(); c {
		case ' ', '\t', '.':
			s.next()
		case '"', '\'':
			names = append(names, s.quoted(c))
		default:
			start := s.pos
			for s.pos < len(s.text) && s.peek() != end && strings.IndexByte(" \t.\"'", s.peek()) < 0 {
				s.next()
			}
			names = append(names, s.text[start:s.pos])
		}
	}
	return names
}

// pair reads key = value.
func (s *lineScanner) pair(table string) {
	line := s.line
	path := table
	for _, name := range s.key('=') {
		path = joinKey(path, name)
		s.note(path, line)
	}
	s.next()
	s.skip(" \t")
	s.value(path)
}

// value passes over a value and records the entries and keys in it.
func (s *lineScanner) value(path string) {
	switch c := s.peek(); c {
	case '"', '\'':
		s.quoted(c)
	case '[':
		s.next()
		for i := 0; ; i++ {
			if s.skip(", \t\r\n"); s.pos >= len(s.text) || s.peek() == ']' {
				break
			}
			entry := fmt.Sprintf("%s[%d]", path, i)
			s.note(entry, s.line)
			s.value(entry)
		}
		s.next()
	case '{':
		s.next()
		for {
			if s.skip(", \t\r\n"); s.pos >= len(s.text) || s.peek() == '}' {
				break
			}
			s.pair(path)
		}
		s.next()
	default:
		for s.pos < len(s.text) && strings.IndexByte(",]}#\r\n", s.peek()) < 0 {
			s.next()
		}
	}
}

// quoted passes over a string of any of the four kinds and returns the text between the
// quotes. It does not expand escapes: they would matter in keys only, which have none in
// practice.
func (s *lineScanner) quoted(quote byte) string {
	mark := string(quote)
	if triple := strings.Repeat(mark, 3); strings.HasPrefix(s.text[s.pos:], triple) {
		mark = triple
	}
	s.pos += len(mark)
	start := s.pos
	for s.pos < len(s.text) && !strings.HasPrefix(s.text[s.pos:], mark) {
		if quote == '"' && s.peek() == '\\' {
			s.next()
		}
		s.next()
	}
	end := min(s.pos, len(s.text))
	s.pos = end + len(mark)
	// The content of a multi-line string can end in quotes.
	for len(mark) == 3 && s.peek() == quote {
		s.pos++
	}
	return s.text[start:end]
}

// joinKey returns the path of a key in a table.
func joinKey(table, name string) string {
	if strings.ContainsAny(name, `.[]" `) || name == "" {
		name = fmt.Sprintf("%q", name)
	}
	if table == "" {
		return name
	}
	return table + "." + name
}
