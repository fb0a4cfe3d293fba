package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func newDealer() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:     "dealer URL [FRAME...]",
		Short:   "Send messages and print whatever comes back",
		Long:    "Connect as DEALER, send the message that the FRAMEs make up, or one for each line of\nstandard input, and print whatever comes back until the server closes." + clientHelp,
		Example: "  zwsbridge dealer wss://portal.example/devices -u ann -n 1 '' lamp on",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.dial(cmd, args[0], zmtp.DEALER)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			defer closeOn(ctx, c)()
			// Who waits for standard input cannot be waited for: this ends with the program.
			failed := make(chan error, 1)
			go func() {
				if err := eachMessage(ctx, args[1:], cmd.InOrStdin(), 0, c.Send); err != nil {
					failed <- err
					cancel()
				}
			}()
			if err := receive(ctx, cmd.OutOrStdout(), c, f.count, 0); err != nil {
				return err
			}
			select {
			case err := <-failed:
				return err
			default:
				return nil
			}
		},
	}
	f.register(cmd)
	f.registerCount(cmd, "received messages")
	return cmd
}
