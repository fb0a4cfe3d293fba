package certs

import (
	"fmt"
	"strings"
)

// zplItem is a line with a name in a text of the ZeroMQ Property Language (4/ZPL, as CZMQ's
// zconfig reads it).
type zplItem struct {
	line   int // counted from 1
	indent int // in columns; a tab counts as four
	level  int // indentation in steps
	name   string
	value  string // empty without a value
}

// zplStep is the step of indentation of 4/ZPL in columns.
const zplStep = 4

// parseZPL parses a text. A step of indentation is four spaces, or one tab. A section can also
// have a step of one to three spaces, but then no deeper items, since it would not be clear
// whether more spaces are a step of another width. One invalid line makes the whole text
// invalid, as in zconfig. Errors contain the line number but never the value, because it may
// be a secret.
func parseZPL(text string) ([]zplItem, error) {
	var items []zplItem
	depth := 0 // the deepest level that the next item can have
	step := 0  // of the section in columns; 0 before its first indented item
	line := 0
	text = strings.TrimPrefix(text, "\ufeff") // the byte order mark of some editors
	for raw := range strings.Lines(text) {
		line++
		item, err := parseZPLLine(strings.TrimRight(raw, " \t\r\n\v\f"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if item.name == "" {
			continue
		}
		switch {
		case item.indent == 0:
			step = 0
		case step == 0:
			step = min(item.indent, zplStep)
			fallthrough
		default:
			if item.indent%step != 0 || step < zplStep && item.indent != step {
				return nil, fmt.Errorf("line %d: indented by %d columns, want %d as the first line of the section, or a multiple of %d", line, item.indent, step, zplStep)
			}
			item.level = item.indent / step
		}
		if item.level > depth {
			return nil, fmt.Errorf("line %d: indented more than one level deeper than the line above", line)
		}
		item.line = line
		depth = item.level + 1
		items = append(items, item)
	}
	return items, nil
}

// parseZPLLine parses one line without its line end. For a blank line or a comment it
// returns an item without a name.
func parseZPLLine(s string) (zplItem, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return zplItem{}, fmt.Errorf("contains a NUL character")
	}
	rest := strings.TrimLeft(s, " \t")
	if rest == "" || rest[0] == '#' {
		return zplItem{}, nil
	}
	indent, tabs := len(s)-len(rest), strings.Count(s[:len(s)-len(rest)], "\t")
	switch tabs {
	case 0:
	case indent:
		indent *= zplStep
	default:
		return zplItem{}, fmt.Errorf("indented by tabs and spaces, want only one of them")
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
	return zplItem{indent: indent, name: name, value: value}, err
}

// parseZPLValue parses what follows a name: nothing, or "=" and a value. The value is in
// single or double quotes, or ends at a comment. There are no escapes inside quotes.
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

// validZPLName reports whether s can be the name of an item.
func validZPLName(s string) bool {
	for i := range len(s) {
		if !isZPLName(s[i]) {
			return false
		}
	}
	return s != "" && s[0] != '/' && s[len(s)-1] != '/'
}

// quoteZPL returns value in the form that follows "=". It returns false if value has both
// kinds of quotes or a line end: ZPL has no escapes for them.
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
