package takeover

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// The words of the two processes.
const (
	wordRelease  = "release"
	wordReleased = "released"
	wordReady    = "ready"
	wordMain     = "main"
	wordLeft     = "left"
	wordFailed   = "failed"
	wordPassed   = "passed"
)

// say writes a line: a word and its argument.
func say(w io.Writer, word, argument string) error {
	line := strings.TrimSpace(word + " " + strings.ReplaceAll(argument, "\n", "; "))
	_, err := fmt.Fprintln(w, line)
	return err
}

// listen passes the lines of r to f until there are no more.
func listen(r io.Reader, f func(word, argument string)) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		word, argument, _ := strings.Cut(lines.Text(), " ")
		f(word, argument)
	}
}
