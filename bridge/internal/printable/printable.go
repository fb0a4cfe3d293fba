// Package printable shows text that others have chosen, such as user names, so that it is
// unambiguous and bounded in logs and on the operators' page.
//
// [Name] returns the form of a user name to show and [ParseName] the name of such a form.
// [Handler] wraps the handler of a log.
package printable

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name returns a user name in a form that can be shown: the name itself if it is UTF-8 of
// printable characters and neither begins with a quotation mark nor begins or ends with a
// space, and otherwise a Go string literal in double quotes. Two names never have the same
// form.
func Name(name string) string {
	if utf8.ValidString(name) && !strings.HasPrefix(name, `"`) && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return name
	}
	return strconv.Quote(name)
}

// ParseName returns the name that has the given form. A text that is not a form is a name
// itself.
func ParseName(form string) string {
	if name, err := strconv.Unquote(form); err == nil && strings.HasPrefix(form, `"`) {
		return name
	}
	return form
}

// Text returns text in UTF-8 of at most limit bytes: bytes that are not UTF-8 are quoted, and
// what is left out is counted.
func Text(text string, limit int) string {
	if !utf8.ValidString(text) {
		quoted := strconv.Quote(text[:min(len(text), limit+utf8.UTFMax)])
		text = quoted[1:len(quoted)-1] + text[min(len(text), limit+utf8.UTFMax):]
	}
	if len(text) <= limit {
		return text
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "… (" + strconv.Itoa(len(text)-cut) + " more bytes)"
}
