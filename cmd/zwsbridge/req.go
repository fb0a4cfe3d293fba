package main

import (
	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func newReq() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:   "req URL [FRAME...]",
		Short: "Send requests and print the replies",
		Long: `Connect as a REQ. Send one request with the given frames, or one request for each
line of standard input. Each reply is printed before the next request is sent.` + clientHelp,
		Example: "  zwsbridge req wss://portal.example/commands -u ann lamp on",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.dial(cmd, args[0], zmtp.REQ)
			if err != nil {
				return err
			}
			defer closeOn(cmd.Context(), c)()
			return eachMessage(cmd.Context(), args[1:], cmd.InOrStdin(), f.count, func(m zmtp.Message) error {
				// 28/REQREP: an empty delimiter frame comes first. It is not printed with the replies.
				if err := c.Send(cmd.Context(), append(zmtp.Message{nil}, m...)); err != nil {
					return f.finish(cmd.Context(), c, err)
				}
				_, err := receive(cmd.Context(), cmd.OutOrStdout(), c, 1, 1)
				return err
			})
		},
	}
	f.register(cmd)
	f.registerCount(cmd, "replies")
	return cmd
}
