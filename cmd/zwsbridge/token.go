package main

import (
	"github.com/spf13/cobra"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Create and explain JSON Web Tokens",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("missing command: mint or check; see 'zwsbridge token --help'")
		},
	}
	cmd.AddCommand(newTokenMint(), newTokenCheck())
	return cmd
}
