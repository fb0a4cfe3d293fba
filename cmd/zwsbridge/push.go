package main

import (
	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func newPush() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:   "push URL [FRAME...]",
		Short: "Send messages",
		Long: `Connect as a PUSH. Send one message with the given frames, or one message for
each line of standard input.` + clientHelp,
		Example: "  zwsbridge push wss://portal.example/readings -u ann kitchen 21.5",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.dial(cmd, args[0], zmtp.PUSH)
			if err != nil {
				return err
			}
			defer closeOn(cmd.Context(), c)()
			err = eachMessage(cmd.Context(), args[1:], cmd.InOrStdin(), f.count, func(m zmtp.Message) error {
				return c.Send(cmd.Context(), m)
			})
			return f.finish(cmd.Context(), c, err)
		},
	}
	f.register(cmd)
	f.registerCount(cmd, "sent messages")
	return cmd
}
