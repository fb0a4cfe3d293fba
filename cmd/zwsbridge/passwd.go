package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
)

func newPasswd() *cobra.Command {
	var remove, list bool
	cmd := &cobra.Command{
		Use:   "passwd FILE USER",
		Short: "Set the password of a user in an htpasswd file, or delete the user",
		Long: `Set the password of a user in an htpasswd file (bcrypt). The user is added if it
is not in the file.

The password is read from the terminal. Without one it is the first line of
standard input, or, if that is empty, the environment variable
ZWSBRIDGE_PASSWORD. A new file gets mode 0600. Missing directories are created. A running
bridge reads a changed file again by itself, and ends the sessions of users who
are deleted or have another password.`,
		Example: "  zwsbridge passwd certs/users.htpasswd ann\n  zwsbridge passwd --delete certs/users.htpasswd ann\n  zwsbridge passwd --list certs/users.htpasswd",
		Args: func(cmd *cobra.Command, args []string) error {
			if list {
				return cobra.ExactArgs(1)(cmd, args)
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch out := cmd.OutOrStdout(); {
			case list:
				return listUsers(out, args[0])
			case remove:
				return deleteUser(out, args[0], args[1])
			}
			return setPassword(cmd, args[0], args[1])
		},
	}
	cmd.Flags().BoolVar(&remove, "delete", false, "delete the user")
	cmd.Flags().BoolVar(&list, "list", false, "list the users of the file, one a line; without USER")
	cmd.MarkFlagsMutuallyExclusive("delete", "list")
	return cmd
}

func listUsers(out io.Writer, file string) error {
	users, err := htpasswd.Users(file)
	if err != nil {
		return err
	}
	for _, user := range users {
		if _, err := fmt.Fprintln(out, user); err != nil {
			return err
		}
	}
	return nil
}

func deleteUser(out io.Writer, file, user string) error {
	if err := htpasswd.Delete(file, user); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "deleted user %s from %s\n", user, file)
	return err
}

func setPassword(cmd *cobra.Command, file, user string) error {
	password, err := newPassword(cmd)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	users, err := htpasswd.Users(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := htpasswd.Set(file, user, password); err != nil {
		return err
	}
	done := "added user %s to %s\n" // tells a misspelled name
	if slices.Contains(users, user) {
		done = "changed the password of user %s in %s\n"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), done, user, file)
	return err
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
	} else if password == "" {
		password = os.Getenv(passwordVariable)
	}
	if password == "" {
		return "", usagef("the password is empty: type it, or pass it on standard input or in %s", passwordVariable)
	}
	return password, nil
}
