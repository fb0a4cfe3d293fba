package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func newDealer() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:   "dealer URL [FRAME...]",
		Short: "Send messages and print the messages received",
		Long: `Connect as a DEALER. Send one message with the given frames, or one message for
each line of standard input, and print every message received until the server
closes the connection.` + clientHelp,
		Example: "  zwsbridge dealer wss://portal.example/devices -u ann -n 1 '' lamp on",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDealer(cmd, &f, args[0], args[1:])
		},
	}
	f.register(cmd)
	f.registerCount(cmd, "received messages")
	return cmd
}

func runDealer(cmd *cobra.Command, f *clientFlags, url string, frames []string) error {
	c, err := f.dial(cmd, url, zmtp.DEALER)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	defer closeOn(ctx, c)()
	// A read of standard input cannot be interrupted: the goroutine ends with the program.
	failed := make(chan error, 1)
	go func() {
		if err := eachMessage(ctx, frames, cmd.InOrStdin(), 0, func(m zmtp.Message) error { return c.Send(ctx, m) }); err != nil {
			failed <- err
			cancel()
		}
	}()
	if _, err := receive(ctx, cmd.OutOrStdout(), c, f.count, 0); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
