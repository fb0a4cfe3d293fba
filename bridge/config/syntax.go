package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// syntaxFault returns the fault for an error of the TOML library, whose messages say what its
// parser met, with what would be right.
func syntaxFault(file, text string, err toml.ParseError) Fault {
	f := Fault{File: file, Line: err.Position.Line, Key: err.LastKey, Text: plainMessage(err.Message)}
	before := linesBefore(text, f.Line)
	switch m := definedTwice.FindStringSubmatch(err.Message); {
	case m != nil && m[2] == "cannot be used as an array":
		f.Key, f.Text = m[1], fmt.Sprintf("is both [%s] and [[%[1]s]] in this file: want only one of the two forms", m[1])
	case m != nil:
		f.Key, f.Text = m[1], "is there twice: want it once"
		if line := lastLine(before, m[1]); line > 0 {
			f.Text = fmt.Sprintf("is there twice, first on line %d: want it once", line)
		}
	default:
		for _, c := range syntaxCures {
			if strings.Contains(err.Message, c.message) {
				f.Text += ": want " + c.cure
				break
			}
		}
		if line := unclosed(before, err.LastKey); line > 0 {
			f.Text += fmt.Sprintf("; or the list that begins on line %d has no end: is ] missing?", line)
		}
	}
	return f
}

// definedTwice matches what the library says of a key or table that exists already.
var definedTwice = regexp.MustCompile(`^Key '(.+)' (?:has already been|was already created and) (defined|cannot be used as an array)\.$`)

// syntaxCures are what to do about messages of the library that contain the first text; the
// first that matches counts.
var syntaxCures = []struct{ message, cure string }{
	{`found '“'`, `straight quotes: "`},
	{`found '”'`, `straight quotes: "`},
	{"expected value but found", "text in quotes, a number, true or false"},
	{"expected value", "a value after ="},
	{"nvalid float", "text in quotes, or a number"},
	{"nvalid integer", "text in quotes, or a number"},
	{"invalid datetime", "text in quotes, or a number"},
	{"expected a digit", "text in quotes, or a number"},
	{"leading zeroes", "text in quotes, or a number"},
	{"out of range", "a number of at most 9223372036854775807"},
	{"strings cannot contain newlines", "the closing quote on the same line"},
	{"unexpected EOF", "the end of what begins here: a quote, ] or }"},
	{"end table name", "] after the name of the table"},
	{"expected '.' or '='", "KEY = VALUE or [TABLE]; a comment begins with #"},
	{"expected a top-level item to end", "one KEY = VALUE or [TABLE] in each line; a comment begins with #"},
	{"invalid escape", `\\ for a backslash, or single quotes, in which \ is a letter like any other`},
	{"invalid UTF-8", "a file in UTF-8"},
	{"0x0d", "lines that end with LF or CRLF"},
	{"control characters", "them removed"},
}

// plainMessage returns a message of the library as a fault begins.
func plainMessage(text string) string {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "."), " instead")
	return strings.Replace(text, "Invalid ", "invalid ", 1)
}

// unclosed returns the line on which the value of key begins if that is a list that does not end
// in text; otherwise 0.
func unclosed(text, key string) int {
	line := lastLine(text, key)
	if line == 0 {
		return 0
	}
	rest := text[len(linesBefore(text, line)):]
	if begin := strings.TrimSpace(rest); strings.HasPrefix(begin, "[") || strings.Count(rest, "[") <= strings.Count(rest, "]") {
		return 0
	}
	return line
}

// linesBefore returns the lines of text that come before the line n.
func linesBefore(text string, n int) string {
	end := 0
	for ; n > 1; n-- {
		next := strings.IndexByte(text[end:], '\n')
		if next < 0 {
			break
		}
		end += next + 1
	}
	return text[:end]
}

var indices = regexp.MustCompile(`\[\d+\]`)

// lastLine returns the last line of text on which key, without the indices of entries, begins;
// 0 if there is none.
func lastLine(text, key string) (last int) {
	if key == "" {
		return 0
	}
	for k, line := range indexLines(text) {
		if indices.ReplaceAllString(k, "") == key {
			last = max(last, line)
		}
	}
	return last
}
