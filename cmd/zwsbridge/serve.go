package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

func newServe() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the bridge",
		Long: `Run the bridge with a configuration file.

SIGTERM or SIGINT shuts the bridge down: it accepts no more connections, closes
those it has with code 1001, and exits after server.drain at the latest.

SIGHUP reloads the configuration. A file with errors (see "zwsbridge check")
changes nothing.

Under systemd the bridge notifies about its state (Type=notify, WatchdogSec=), and
uses the sockets that socket units named "server" and "admin" pass to it instead
of listening on server.listen and admin.listen.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), file, newLogger(cmd.ErrOrStderr()))
		},
	}
	configFlag(cmd, &file)
	return cmd
}

// serve runs the bridge with a configuration file until ctx is done.
func serve(ctx context.Context, file string, log *logger) error {
	c, err := loadAndWarn(file, log)
	if err != nil {
		return err
	}
	if err := c.MakeMissing(); err != nil {
		return err
	}
	notifier, err := newNotifier(log.Logger)
	if err != nil {
		return err
	}
	passed, err := passedSockets()
	if err != nil {
		return err
	}
	defer passed.close()
	s, err := newServer(c, log, passed)
	if err != nil {
		return err
	}
	s.notifier = notifier
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)

	return s.run(ctx, reload)
}

// loadConfig reads a configuration. The error contains all its faults.
func loadConfig(file string) (*config.Config, error) {
	c, faults := config.Load(file)
	return c, faults.Err()
}

// loadAndWarn is loadConfig that also logs the warnings, as the configuration says.
func loadAndWarn(file string, log *logger) (*config.Config, error) {
	c, faults := config.Load(file)
	if c != nil {
		log.configure(&c.Log)
	}
	for _, warning := range faults.Warnings() {
		log.Warn(warning.String())
	}
	return c, faults.Err()
}
