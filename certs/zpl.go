package certs

import (
	"fmt"
	"strings"
)

// zplItem is one line of a ZPL text (the ZeroMQ Property Language of 4/ZPL, as czmq's
// zconfig reads it) that has a name.
type zplItem struct {
	line  int // from 1
	level int // indentation in steps of four spaces
	name  string
	value string // empty if there was none
}

// parseZPL reads a whole text; as in zconfig, either all of it is valid or none is. The
// errors tell the line and never the value, which may be a secret.
func parseZPL(text string) ([]zplItem, error) {
	var items []zplItem
	depth := 0 // the deepest level that has a parent: one below the last item
	line := 0
	for raw := range strings.Lines(text) {
		line++
		item, err := parseZPLLine(strings.TrimRight(raw, " \t\r\n\v\f"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if item.name == "" {
			continue
		}
		if item.level > depth {
			return nil, fmt.Errorf("line %d: indented deeper than a child of the line above", line)
		}
		item.line = line
		depth = item.level + 1
		items = append(items, item)
	}
	return items, nil
}

// parseZPLLine reads one line without its end. A blank or a comment gives an item without
// a name.
func parseZPLLine(s string) (zplItem, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return zplItem{}, fmt.Errorf("NUL in a text file")
	}
	rest := strings.TrimLeft(s, " ")
	indent := len(s) - len(rest)
	if rest == "" || rest[0] == '#' {
		return zplItem{}, nil
	}
	if indent%4 != 0 {
		return zplItem{}, fmt.Errorf("indented by %d spaces, want a multiple of 4", indent)
	}
	n := 0
	for n < len(rest) && isZPLName(rest[n]) {
		n++
	}
	name := rest[:n]
	if !validZPLName(name) {
		return zplItem{}, fmt.Errorf("want a name of letters, digits and $-_@.&+ (or / inside)")
	}
	value, err := parseZPLValue(strings.TrimLeft(rest[n:], " \t"))
	return zplItem{level: indent / 4, name: name, value: value}, err
}

// parseZPLValue reads what follows a name: nothing, or "=" and a value that is quoted with
// either quote, or bare up to a comment. Nothing escapes a quote inside quotes.
func parseZPLValue(s string) (string, error) {
	if s == "" || s[0] == '#' {
		return "", nil
	}
	if s[0] != '=' {
		return "", fmt.Errorf(`want "=" after the name`)
	}
	s = strings.TrimLeft(s[1:], " \t")
	if s == "" || s[0] != '"' && s[0] != '\'' {
		value, _, _ := strings.Cut(s, "#")
		return strings.TrimRight(value, " \t"), nil
	}
	value, after, closed := strings.Cut(s[1:], s[:1])
	if !closed {
		return "", fmt.Errorf("missing %s at the end of the value", s[:1])
	}
	after = strings.TrimLeft(after, " \t")
	if after != "" && after[0] != '#' {
		return "", fmt.Errorf("text after the quoted value")
	}
	return value, nil
}

func isZPLName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("$-_@.&+/", c) >= 0
}

// validZPLName tells whether s can be the name of an item.
func validZPLName(s string) bool {
	for i := range len(s) {
		if !isZPLName(s[i]) {
			return false
		}
	}
	return s != "" && s[0] != '/' && s[len(s)-1] != '/'
}

// quoteZPL returns value as it is written behind "=", or false if ZPL has no form for it:
// it knows no escapes, so a value cannot hold both quotes, or a line end.
func quoteZPL(value string) (string, bool) {
	switch {
	case strings.ContainsAny(value, "\x00\r\n"):
		return "", false
	case !strings.Contains(value, `"`):
		return `"` + value + `"`, true
	case !strings.Contains(value, `'`):
		return `'` + value + `'`, true
	}
	return "", false
}
