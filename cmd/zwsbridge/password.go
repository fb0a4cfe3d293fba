package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/zwsbridge/zwsbridge/certs"
)

// maxSecret is the maximum length of a password or token in bytes.
const maxSecret = 64 << 10

// promptPassword prints prompt to w and reads a line from the terminal without echo. It
// returns the cause of ctx when ctx is done first.
func promptPassword(ctx context.Context, terminal *os.File, w io.Writer, prompt string) (string, error) {
	fd := int(terminal.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(w, prompt)
	defer fmt.Fprintln(w)
	password, err := abandonOn(ctx, func() (string, error) {
		typed, err := term.ReadPassword(fd)
		return string(typed), err
	})
	if ctx.Err() != nil {
		err = errors.Join(err, term.Restore(fd, state)) // the abandoned ReadPassword has turned echo off
	}
	return password, err
}

// readFirstLine reads the first line of standard input. It returns the cause of ctx when
// ctx is done first.
func readFirstLine(ctx context.Context, stdin io.Reader) (string, error) {
	return abandonOn(ctx, func() (string, error) { return firstLine(stdin) })
}

// abandonOn returns the result of read, or the cause of ctx when ctx is done first. A read
// of standard input cannot be interrupted, so its goroutine then ends with the program.
func abandonOn(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// firstLine returns the first line of r without its line end.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// readSecret returns the first line of a file that holds a password or token. It refuses a
// file that other users can read.
func readSecret(file string) (string, error) {
	b, err := certs.ReadPrivate(file, maxSecret)
	if err != nil {
		return "", err
	}
	return firstLine(strings.NewReader(string(b)))
}
