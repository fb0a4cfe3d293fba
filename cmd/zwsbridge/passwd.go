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
		Short: "Set the password of a user in an htpasswd file",
		Long: `Set the password of a user in an htpasswd file (bcrypt). The user is added if it
is not in the file.

The password is read from the terminal, or from the first line of standard
input. A new file gets mode 0600. Missing directories are created. A running
bridge reads a changed file again by itself.`,
		Example: "  zwsbridge passwd certs/users.htpasswd ann",
		Args:    cobra.ExactArgs(2),
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

// newPassword reads a new password. On a terminal it asks twice, because typing errors are
// not visible there.
func newPassword(cmd *cobra.Command) (string, error) {
	var password string
	var err error
	if stdin := cmd.InOrStdin(); isTerminal(stdin) {
		terminal := stdin.(*os.File)
		if password, err = promptPassword(cmd.Context(), terminal, cmd.ErrOrStderr(), "New password: "); err != nil {
			return "", err
		}
		repeated, err := promptPassword(cmd.Context(), terminal, cmd.ErrOrStderr(), "Repeat password: ")
		if err != nil {
			return "", err
		}
		if repeated != password {
			return "", errors.New("the two passwords differ")
		}
	} else if password, err = readFirstLine(cmd.Context(), stdin); err != nil {
		return "", err
	}
	if password == "" {
		return "", usagef("the password is empty")
	}
	return password, nil
}
