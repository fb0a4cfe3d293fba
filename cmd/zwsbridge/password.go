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

// maxSecret is how long a password or token may be, in octets.
const maxSecret = 64 << 10

// askPassword asks on a terminal, without showing what is typed, until ctx is done.
func askPassword(ctx context.Context, terminal *os.File, prompt io.Writer, question string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(prompt, question)
	defer fmt.Fprintln(prompt)
	password, err := wait(ctx, func() (string, error) {
		typed, err := term.ReadPassword(fd)
		return string(typed), err
	})
	if ctx.Err() != nil {
		err = errors.Join(err, term.Restore(fd, before)) // which ReadPassword still keeps from showing
	}
	return password, err
}

// askLine reads the first line of standard input, until ctx is done.
func askLine(ctx context.Context, stdin io.Reader) (string, error) {
	return wait(ctx, func() (string, error) { return firstLine(stdin) })
}

// wait waits for read, but no longer than for ctx: standard input cannot be made to return, so
// a read of it is then left to end with the program.
func wait(ctx context.Context, read func() (string, error)) (string, error) {
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

// firstLine reads the first line of r without its end.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// secretFile reads the first line of a file that holds a secret and that others may not
// read.
func secretFile(file string) (string, error) {
	b, err := certs.ReadPrivate(file, maxSecret)
	if err != nil {
		return "", err
	}
	return firstLine(strings.NewReader(string(b)))
}
