package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// maxLine is the maximum length of a line of standard input in bytes.
const maxLine = 4 << 20

// formatMessage returns m as one line, with tabs between the frames.
func formatMessage(m zmtp.Message) string {
	frames := make([]string, len(m))
	for i, f := range m {
		frames[i] = formatFrame(f)
	}
	return strings.Join(frames, "\t")
}

// formatFrame returns f as text, quoted as a Go string if it contains anything but
// printable text or begins with a double quote.
func formatFrame(f []byte) string {
	s := string(f)
	if !utf8.ValidString(s) || strings.HasPrefix(s, `"`) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// parseMessage parses a line in the form of formatMessage.
func parseMessage(line string) (zmtp.Message, error) { return parseFrames(strings.Split(line, "\t")) }

// parseFrames returns the message with frames in the form of formatFrame.
func parseFrames(frames []string) (zmtp.Message, error) {
	var m zmtp.Message
	for i, text := range frames {
		f, err := parseFrame(text)
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", i+1, err)
		}
		m = append(m, f)
	}
	return m, nil
}

func parseFrame(s string) ([]byte, error) {
	if !strings.HasPrefix(s, `"`) {
		return []byte(s), nil
	}
	text, err := strconv.Unquote(s)
	if err != nil {
		return nil, fmt.Errorf("begins with a double quote but is not a valid Go string")
	}
	return []byte(text), nil
}

// eachMessage calls send with the message that has the given frames. Without frames it
// calls send for each line of r, at most limit times; a limit of 0 means all lines.
func eachMessage(ctx context.Context, frames []string, r io.Reader, limit uint, send func(zmtp.Message) error) error {
	if len(frames) > 0 {
		m, err := parseFrames(frames)
		if err != nil {
			return usageError{err}
		}
		return send(m)
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := uint(1); (limit == 0 || n <= limit) && lines.Scan(); n++ {
		if ctx.Err() != nil {
			return nil
		}
		m, err := parseMessage(lines.Text())
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := send(m); err != nil {
			return err
		}
	}
	return lines.Err()
}
