package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/demo"
)

func newDemo() *cobra.Command {
	var address, dir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run houses, the bridge and a page in one process",
		Long: `Run simulated houses that speak ZeroMQ with CURVE on TCP sockets, the bridge with
a self-signed certificate in front of them, and a page. Prints the URL and the
logins, which are drawn at random on the first start and kept, with all keys and
the configuration that the bridge was given, in the folder of --dir.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, address, dir) },
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8443", "the `address` of page and bridge")
	cmd.Flags().StringVar(&dir, "dir", filepath.Join("certs", "demo"), "the `folder` for keys and logins")
	return cmd
}

// runDemo runs everything until the command's context is done.
func runDemo(cmd *cobra.Command, address, dir string) error {
	log := newLogger(cmd.ErrOrStderr())
	home, err := demo.Open(dir)
	if err != nil {
		return err
	}
	// The houses outlive the bridge, so that nobody is told that they are gone.
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	var working errgroup.Group
	defer func() {
		cancel()
		_ = working.Wait() // they end because they were told to
	}()
	var houses []*demo.House
	for _, name := range demo.Residents {
		house, err := home.NewHouse(ctx, name)
		if err != nil {
			return err
		}
		working.Go(func() error { return house.Run(ctx) })
		houses = append(houses, house)
	}
	if err := home.WriteConfig(address, houses); err != nil {
		return err
	}
	c, err := load(home.Config(), log)
	if err != nil {
		return err
	}
	s, err := newServer(c, log)
	if err != nil {
		return err
	}
	s.http.Handler = demo.Page(s.http.Handler)
	if err := printDemo(cmd.OutOrStdout(), s, home); err != nil {
		return err
	}
	return s.run(cmd.Context(), nil)
}

func printDemo(w io.Writer, s *server, home *demo.Home) error {
	_, err := fmt.Fprintf(w, `Open https://%s/ and let the browser accept the certificate, which is self-signed.
Log in as

  ann   %s   sees and commands her own house
  bob   %s   sees both houses, commands his own

Operators look at http://%s/ with the token %s

Everything that was drawn, and the bridge's configuration, is in %s.
`, s.listener.Addr(), home.Passwords["ann"], home.Passwords["bob"], s.adminListener.Addr(), home.Token, home.Dir)
	return err
}
