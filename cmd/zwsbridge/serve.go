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

SIGUSR2 (not on Windows) starts the program again, which may be a newer version by
then, and hands all listeners over to it. Once it serves, this process closes its
connections with code 1001, a few at a time, so that the new one can judge the
logins of the clients that come back, for server.handover_drain at most, and exits.
If the new process cannot start, this one goes on.

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
func serve(ctx context.Context, file string, log *logger) (err error) {
	handover := make(chan os.Signal, 1)
	if len(handoverSignals) > 0 { // otherwise it would be every signal
		signal.Notify(handover, handoverSignals...)
		defer signal.Stop(handover)
	}
	p, err := newProcess()
	if err != nil {
		return err
	}
	defer func() {
		p.passed.close()
		p.parent.Failed(err)
	}()
	c, err := loadAndWarn(file, log)
	if err != nil {
		return err
	}
	if err := c.MakeMissing(); err != nil {
		return err
	}
	p.inherit(c)
	notifier, err := newNotifier(log.Logger)
	if err != nil {
		return err
	}
	s, err := newServer(c, log, p)
	if err != nil {
		return err
	}
	s.notifier, s.handover = notifier, handover
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
