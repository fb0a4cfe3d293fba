package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/certs"
)

func newKeygen() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "keygen NAME",
		Short: "Make a CURVE certificate: NAME (public) and NAME" + certs.SecretSuffix,
		Long: `Make a CURVE key pair in the certificate format of czmq: the files NAME, which
peers may have, and NAME` + certs.SecretSuffix + ` (mode 0600), which nobody else may. Existing files are
not replaced; a missing folder is made. Prints the public key.`,
		Example: "  zwsbridge keygen certs/server\n  zwsbridge keygen --user ann certs/controllers/ann",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if strings.HasSuffix(name, certs.SecretSuffix) {
				return usagef("NAME %q: leave out %s, it is added for the secret file", name, certs.SecretSuffix)
			}
			cert, err := certs.New()
			if err != nil {
				return err
			}
			if user != "" {
				cert.SetMeta("user-id", user)
			}
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				return err
			}
			if err := cert.Write(name); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), certs.EncodeKey(cert.Public))
			return err
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the `name` that a login with this key gets (metadata user-id)")
	return cmd
}
