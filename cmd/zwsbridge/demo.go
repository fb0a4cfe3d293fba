package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/zwsbridge/zwsbridge/cmd/zwsbridge/demo"
)

func newDemo() *cobra.Command {
	var address, admin, dir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a demonstration: two simulated houses, the bridge and a web page",
		Long: `Run a demonstration in one process: two simulated houses that speak ZeroMQ with
CURVE over TCP, the bridge with a self-signed certificate in front of them, and a
web page.

Prints the URL of the page and the passwords. Passwords and keys are generated at
the first start and kept in the directory of --dir, together with the
configuration of the bridge. If another program listens at one of the addresses,
choose others; with port 0 any free port is taken.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, address, admin, dir) },
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8443", "`address` of the page and the bridge")
	cmd.Flags().StringVar(&admin, "admin", "127.0.0.1:9090", "`address` of the admin page")
	cmd.Flags().StringVar(&dir, "dir", filepath.Join("certs", "demo"), "`directory` for keys, passwords and the configuration")
	return cmd
}

// runDemo runs houses, bridge and page until the command's context is done.
func runDemo(cmd *cobra.Command, address, admin, dir string) error {
	// Hashing the passwords takes seconds on a small machine.
	fmt.Fprintf(cmd.ErrOrStderr(), "Starting two houses and the bridge; keys and passwords are in %s.\n", dir)
	log := newLogger(cmd.ErrOrStderr())
	home, err := demo.Open(dir)
	if err != nil {
		return err
	}
	// The houses stop after the bridge, so that it does not report lost backends.
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	var running errgroup.Group
	defer func() {
		cancel()
		_ = running.Wait() // errors at shutdown do not matter
	}()
	var houses []*demo.House
	for _, name := range demo.Residents {
		house, err := home.NewHouse(ctx, name)
		if err != nil {
			return err
		}
		running.Go(func() error { return house.Run(ctx) })
		houses = append(houses, house)
	}
	if err := home.WriteConfig(address, admin, houses); err != nil {
		return err
	}
	c, err := loadAndWarn(home.Config(), log)
	if err != nil {
		return err
	}
	s, err := newServer(c, log, new(process))
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "listen" {
		return fmt.Errorf("%w: another program, or another demo, may listen there: choose other addresses with --listen and --admin, or port 0 for any", err)
	}
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
	_, err := fmt.Fprintf(w, `Open https://%s/ and accept the self-signed certificate. Log in as

  ann   %s   reads and controls her house
  bob   %s   reads both houses, controls his own

The admin page is http://%s/, its token %s

Passwords, keys and the configuration of the bridge are in %s.
`, s.listener.Addr(), home.Passwords["ann"], home.Passwords["bob"], s.adminListener.Addr(), home.Token, home.Dir)
	return err
}
