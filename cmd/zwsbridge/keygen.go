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
		Short: "Create a CURVE certificate",
		Long: `Create a CURVE key pair in the certificate format of CZMQ and pyzmq, and print the
public key.

Two files are written: NAME contains the public key and can be given to peers,
NAME` + certs.SecretSuffix + ` (mode 0600) also contains the secret key and must stay on this
machine. Existing files are not overwritten. Missing directories are created.

pyzmq's configure_curve reads only files whose names end in .key: choose a NAME like
keys/ann.key for keys that a pyzmq server accepts. pyzmq.auth.load_certificate reads
any name.`,
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
	cmd.Flags().StringVar(&user, "user", "", "user `name` of a client that logs in with this key (metadata user-id)")
	return cmd
}
