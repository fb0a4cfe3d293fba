package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

// defaultConfig is the default of --config.
const defaultConfig = "bridge.toml"

func newCheck() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Validate a configuration file",
		Long: `Validate a configuration file without starting anything.

Prints "ok" if the bridge would start with it, and otherwise each error as
FILE:LINE: KEY: what is wrong and what is allowed, with exit code 2. Warnings
point out settings that are valid but insecure.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, faults := config.Load(file)
			for _, f := range faults {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if faults.Err() != nil {
				return silentError{exitUsage}
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return err
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", defaultConfig, "configuration `file`")
}
