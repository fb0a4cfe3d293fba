// Command zwsbridge connects browsers and other WebSocket clients with ZeroMQ sockets: a
// login in front, a login behind, frames both ways.
//
// Exit codes: 0 done, 1 failed at work, 2 usage or configuration, 3 refused by the peer.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: args without its name. It ends in good order when ctx is done.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	working := false // from here on an error is not about the usage
	root := newRoot()
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmp.Or(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return err
		}
		working = true
		return nil
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	switch {
	case errors.As(err, new(silent)):
	case code == exitRefused:
		fmt.Fprintln(stderr, "zwsbridge: refused:", errorText(err))
	case !working:
		code = exitUsage
		fmt.Fprintf(stderr, "zwsbridge: %v\nTry '%s --help'.\n", err, cmd.CommandPath())
	default:
		fmt.Fprintln(stderr, "zwsbridge:", errorText(err))
	}
	return code
}

// errorText is an error's text. Of a close frame that is its code and reason, which say all
// there is, and nothing that would do harm on a terminal.
func errorText(err error) string {
	closed, ok := errors.AsType[*zws.CloseError](err)
	if !ok || closed.Reason == "" {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", closed.Code, formatFrame([]byte(closed.Reason)))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "zwsbridge",
		Short: "Browsers and other WebSocket clients on ZeroMQ sockets",
		Long: `zwsbridge connects browsers and other WebSocket clients with ZeroMQ sockets:
a login in front, a login behind, frames both ways.

Exit codes: 0 done, 1 failed at work, 2 usage or configuration, 3 refused by the peer.`,
		Args:          cobra.NoArgs,
		RunE:          func(*cobra.Command, []string) error { return usagef("which command? See --help") },
		Version:       versionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newServe(), newCheck(), newDemo(),
		newKeygen(), newPasswd(), newToken(),
		newSub(), newPush(), newReq(), newDealer(),
		newVersion(),
	)
	return root
}

// usageError is a mistake on the command line that only the command itself can see.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// silent ends the program with a code after everything has been said.
type silent struct{ code int }

func (s silent) Error() string { return fmt.Sprintf("exit code %d", s.code) }

// exitCode is what the program ends with on err.
func exitCode(err error) int {
	if s, ok := errors.AsType[silent](err); ok {
		return s.code
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*zmtp.RefusedError](err); ok {
		return exitRefused
	}
	if closed, ok := errors.AsType[*zws.CloseError](err); ok && (refusal(closed) || closed.Status != 0) {
		return exitRefused
	}
	return exitFailed
}
