package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/adminclient"
)

// healthTimeout limits how long health waits for an answer.
const healthTimeout = 5 * time.Second

func newHealth() *cobra.Command {
	var file string
	var live bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the running bridge whether it can serve clients",
		Long: `Ask the bridge that runs here with a configuration file whether it can serve
clients, at /readyz of its admin interface, and print the answer. Exit code 0 if
it can, 1 if not.

Without an admin interface, health reports whether server.listen can be connected to.
The container image runs it with --live as its health check.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, faults := config.Load(file)
			if c == nil { // other faults do not matter: the bridge may run with an older file
				return faults.Err()
			}
			path := "/readyz"
			if live {
				path = "/livez"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			return health(ctx, c, path, cmd.OutOrStdout())
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&live, "live", false, "ask whether it runs (/livez), even if it cannot serve clients at present")
	return cmd
}

// health prints what the bridge answers at path of its admin interface. An answer other than
// 200 is an error.
func health(ctx context.Context, c *config.Config, path string, stdout io.Writer) error {
	if c.Admin.Listen == "" && c.Admin.Socket == "" {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", dialable(c.Server.Listen))
		if err != nil {
			return notRunning(err)
		}
		_, err = fmt.Fprintln(stdout, "accepts connections; with an [admin] table, health also asks whether logins can be judged")
		return errors.Join(err, conn.Close())
	}
	o := adminclient.Options{Socket: string(c.Admin.Socket)}
	if c.Admin.Listen != "" {
		o = adminclient.Options{URL: "http://" + dialable(c.Admin.Listen)}
	}
	text, err := adminclient.New(o).Probe(ctx, path)
	if err != nil {
		return notRunning(err)
	}
	_, err = fmt.Fprintln(stdout, text)
	return err
}

// dialable returns the address to connect to for a listener at address: this machine's loopback
// instead of all interfaces.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(cmp.Or(host, "localhost"), port)
}
