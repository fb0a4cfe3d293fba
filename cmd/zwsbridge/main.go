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
	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/adminclient"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Exit codes.
const (
	exitSuccess = 0
	exitFailure = 1
	exitUsage   = 2
	exitRefused = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal terminates the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes the command in args, which do not include the program's name, and returns
// the exit code. Canceling ctx shuts the command down gracefully.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	parsed := false // an error before this is set is about the command line
	root := newRoot()
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmp.Or(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return err
		}
		parsed = true
		return nil
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitSuccess
	}
	code := exitCode(err)
	switch {
	case errors.As(err, new(silentError)):
	case code == exitRefused:
		fmt.Fprintln(stderr, "zwsbridge: refused:", errorText(err))
	case !parsed:
		code = exitUsage
		fmt.Fprintf(stderr, "zwsbridge: %v\nTry '%s --help'.\n", err, cmd.CommandPath())
	default:
		fmt.Fprintln(stderr, "zwsbridge:", errorText(err))
	}
	return code
}

// errorText returns the text of err. For a close frame that is the code and the reason,
// quoted if it contains anything but printable text.
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
		Short: "Connect WebSocket clients to ZeroMQ sockets",
		Long: `zwsbridge connects browsers and other WebSocket clients to ZeroMQ sockets, with
authentication on both hops.

Run the bridge with serve, or try it with demo. The commands status, sessions,
kick and reload operate a bridge that runs; sub, push, req and dealer are clients
for the shell. 'zwsbridge help' lists the topics of the manual.

Exit codes: 0 success, 1 failure, 2 wrong usage or configuration, 3 refused by
the peer.`,
		Args:          cobra.NoArgs,
		RunE:          func(*cobra.Command, []string) error { return usagef("missing command; see 'zwsbridge --help'") },
		Version:       versionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(newHelp())
	root.AddCommand(
		newServe(), newCheck(), newHealth(), newStatus(), newSessions(), newKick(), newReload(), newDemo(),
		newKeygen(), newPasswd(), newToken(),
		newSub(), newPush(), newReq(), newDealer(), newDiscover(),
		newVersion(),
	)
	return root
}

// usageError is an error in the command line that only the command itself detects.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// silentError ends the program with an exit code and without a message: the command has
// already printed what is wrong.
type silentError struct{ code int }

func (e silentError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exitCode returns the exit code for err.
func exitCode(err error) int {
	if silent, ok := errors.AsType[silentError](err); ok {
		return silent.code
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
	if answer, ok := errors.AsType[*adminclient.Error](err); ok && answer.Refused() {
		return exitRefused
	}
	if closed, ok := errors.AsType[*zws.CloseError](err); ok && (isRefusal(closed) || closed.Status != 0) {
		return exitRefused
	}
	return exitFailure
}
