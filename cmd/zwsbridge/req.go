package main

import (
	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func newReq() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:     "req URL [FRAME...]",
		Short:   "Send requests and print the replies",
		Long:    "Connect as REQ, send the request that the FRAMEs make up, or one for each line of\nstandard input, and print the reply to each before the next is sent." + clientHelp,
		Example: "  zwsbridge req wss://portal.example/commands -u ann lamp on",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.dial(cmd, args[0], zmtp.REQ)
			if err != nil {
				return err
			}
			defer closeOn(cmd.Context(), c)()
			return eachMessage(cmd.Context(), args[1:], cmd.InOrStdin(), f.count, func(m zmtp.Message) error {
				// The delimiter of 28/REQREP goes in front, and is not shown in replies.
				if err := c.Send(append(zmtp.Message{nil}, m...)); err != nil {
					return f.finish(cmd.Context(), c, err)
				}
				return receive(cmd.Context(), cmd.OutOrStdout(), c, 1, 1)
			})
		},
	}
	f.register(cmd)
	f.registerCount(cmd, "replies")
	return cmd
}
