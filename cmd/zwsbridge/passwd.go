package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
)

func newPasswd() *cobra.Command {
	return &cobra.Command{
		Use:   "passwd FILE USER",
		Short: "Add or change a user's password in an htpasswd file",
		Long: `Add or change a user's line in an htpasswd file (bcrypt). The password is asked
for on the terminal, or is the first line of standard input. A new file gets mode
0600, a missing folder is made. A running bridge reads the file again by itself.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := newPassword(cmd)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(args[0]), 0o700); err != nil {
				return err
			}
			return htpasswd.Set(args[0], args[1], password)
		},
	}
}

// newPassword asks twice, so that a slip of the finger locks nobody out.
func newPassword(cmd *cobra.Command) (string, error) {
	var password string
	var err error
	if stdin := cmd.InOrStdin(); isTerminal(stdin) {
		terminal := stdin.(*os.File)
		if password, err = askPassword(cmd.Context(), terminal, cmd.ErrOrStderr(), "New password: "); err != nil {
			return "", err
		}
		again, err := askPassword(cmd.Context(), terminal, cmd.ErrOrStderr(), "Again: ")
		if err != nil {
			return "", err
		}
		if again != password {
			return "", errors.New("the two passwords differ")
		}
	} else if password, err = askLine(cmd.Context(), stdin); err != nil {
		return "", err
	}
	if password == "" {
		return "", usagef("the password is empty")
	}
	return password, nil
}
