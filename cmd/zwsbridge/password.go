package main

import (
	"bufio"
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

// askPassword asks on a terminal, without showing what is typed.
func askPassword(terminal *os.File, prompt io.Writer, question string) (string, error) {
	fmt.Fprint(prompt, question)
	b, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(prompt)
	return string(b), err
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
