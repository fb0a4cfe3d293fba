package config

import "strings"

// maxDepth bounds how deep arrays, tables and dotted keys nest in a configuration file. The
// deepest key of a bridge has four levels; the TOML library takes minutes and gigabytes for
// a file of some hundred kilobytes that nests a hundred thousand deep.
const maxDepth = 32

// tooDeep returns the line on which text nests deeper than maxDepth; 0 if it does not. It
// looks at quotes, brackets, dots and comments only, so the text need not be valid TOML.
func tooDeep(text string) (line int) {
	line = 1
	brackets, dots := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\n':
			line++
			dots = 0
		case '#':
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return 0
			}
			i += end - 1
		case '"', '\'':
			end := skipString(text, i)
			line += strings.Count(text[i:end], "\n")
			i = end - 1
		case '[', '{':
			brackets++
			dots = 0
		case ']', '}':
			brackets = max(brackets-1, 0)
			dots = 0
		case '=', ',':
			dots = 0
		case '.':
			dots++
		}
		if brackets > maxDepth || dots > maxDepth {
			return line
		}
	}
	return 0
}

// skipString returns the position behind the string that begins at i, or the end of the text
// if the string has none.
func skipString(text string, i int) int {
	quote := text[i : i+1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(text[i:], long) {
		quote = long
	}
	for end := i + len(quote); end < len(text); end++ {
		switch {
		case text[end] == '\\' && quote[0] == '"':
			end++
		case strings.HasPrefix(text[end:], quote):
			return end + len(quote)
		case text[end] == '\n' && len(quote) == 1:
			return end // not closed: an error that the TOML library reports
		}
	}
	return len(text)
}
