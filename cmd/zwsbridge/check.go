package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

// defaultConfig is where commands look for the configuration when they are not told.
const defaultConfig = "bridge.toml"

func newCheck() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration without starting anything",
		Long: `Check a configuration without starting anything. Prints "ok", or every fault as
FILE:LINE: key: what is wrong and what is allowed (exit code 2). Warnings tell of
what is legal but open.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, faults := config.Load(file)
			for _, f := range faults {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if faults.Err() != nil {
				return silent{exitUsage}
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return err
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", defaultConfig, "the configuration `file`")
}
