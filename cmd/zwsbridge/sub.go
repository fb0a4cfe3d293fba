package main

import (
	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

func newSub() *cobra.Command {
	var f clientFlags
	var topics []string
	cmd := &cobra.Command{
		Use:   "sub URL",
		Short: "Subscribe to topics and print the messages",
		Long: `Connect as a SUB, subscribe to the topics of --subscribe, and print every message
until the server closes the connection. If the server says when to come back,
connect and subscribe again then.` + clientHelp,
		Example: `  zwsbridge sub wss://portal.example/devices -u ann --subscribe house/ann/
  zwsbridge sub wss://127.0.0.1:8443/devices --insecure -u ann -n 1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(topics) == 0 {
				topics = []string{""}
			}
			left := f.count
			for {
				n, err := runSub(cmd, &f, args[0], topics, left)
				if !waitAsAdvised(cmd, err) {
					return err
				}
				if left -= min(n, left); f.count > 0 && left == 0 {
					return nil
				}
			}
		},
	}
	f.register(cmd)
	f.registerCount(cmd, "received messages")
	cmd.Flags().StringArrayVarP(&topics, "subscribe", "s", nil, "subscribe to topics that begin with `prefix`; can be repeated (default: all topics)")
	return cmd
}

// runSub prints the messages of one connection, at most count of them, and returns how many.
func runSub(cmd *cobra.Command, f *clientFlags, url string, topics []string, count uint) (uint, error) {
	c, err := f.dial(cmd, url, zmtp.SUB)
	if err != nil {
		return 0, err
	}
	defer closeOn(cmd.Context(), c)()
	for _, topic := range topics {
		if err := c.Subscribe(cmd.Context(), []byte(topic)); err != nil {
			return 0, f.finish(cmd.Context(), c, err)
		}
	}
	return receive(cmd.Context(), cmd.OutOrStdout(), c, count, 0)
}
