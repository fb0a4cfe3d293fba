package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
)

// blockedInput is a standard input without data until it is closed.
type blockedInput struct {
	read, closed chan struct{}
}

func (s *blockedInput) Read([]byte) (int, error) {
	close(s.read)
	<-s.closed
	return 0, io.EOF
}

// TestInterruptedInput checks that Ctrl-C ends a command that waits for a password or token.
func TestInterruptedInput(t *testing.T) {
	for _, args := range [][]string{
		{"passwd", filepath.Join(t.TempDir(), "users"), "alice"},
		{"token", "check", "--config", "../../bridge.toml"},
	} {
		ctx, interrupt := context.WithCancelCause(t.Context())
		stdin := &blockedInput{make(chan struct{}), make(chan struct{})}
		defer close(stdin.closed)
		go func() {
			<-stdin.read
			interrupt(errors.New("interrupted"))
		}()
		var stderr bytes.Buffer
		if code := run(ctx, args, stdin, io.Discard, &stderr); code != exitFailure || stderr.String() != "zwsbridge: interrupted\n" {
			t.Errorf("%q: exit code %d, %q", args, code, stderr.String())
		}
	}
}
