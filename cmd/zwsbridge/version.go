package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/internal/buildinfo"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and its date, Go version and platform",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}

// versionLine returns name, version, commit and its date, Go version and platform of the program.
func versionLine() string {
	return fmt.Sprintf("zwsbridge %s %s/%s", buildinfo.Get(), runtime.GOOS, runtime.GOARCH)
}
