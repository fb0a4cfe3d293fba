package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
)

func newServe() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the bridge",
		Long: `Run the bridge.

SIGTERM or SIGINT: accept nobody any more, close the sessions with 1001 and leave
within server.drain. SIGHUP: read the configuration again; one that check refuses
changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), file, newLogger(cmd.ErrOrStderr()))
		},
	}
	configFlag(cmd, &file)
	return cmd
}

// serve runs the bridge of a configuration file until ctx is done.
func serve(ctx context.Context, file string, log *slog.Logger) error {
	c, err := load(file, log)
	if err != nil {
		return err
	}
	if err := c.MakeMissing(); err != nil {
		return err
	}
	s, err := newServer(c, log)
	if err != nil {
		return err
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)

	return s.run(ctx, reload)
}

// load reads a configuration and logs what is open in it.
func load(file string, log *slog.Logger) (*config.Config, error) {
	c, faults := config.Load(file)
	for _, warning := range faults.Warnings() {
		log.Warn(warning.String())
	}
	return c, faults.Err()
}

// server is the bridge with its listeners.
type server struct {
	started  *config.Config // what the listener was made of
	config   *config.Config // in force; changed by run
	log      *slog.Logger
	bridge   *bridge.Bridge
	listener net.Listener
	certs    io.Closer
	http     *http.Server

	// What operators ask; nil without admin.listen.
	adminListener net.Listener
	admin         *http.Server
}

// newServer opens the listener and makes the bridge. The caller calls run.
func newServer(c *config.Config, log *slog.Logger) (*server, error) {
	listener, certs, err := listen(c, log)
	if err != nil {
		return nil, err
	}
	s := &server{started: c, config: c, log: log, listener: listener, certs: certs}
	if c.Admin.Listen != "" {
		if s.adminListener, err = net.Listen("tcp", c.Admin.Listen); err != nil {
			return nil, errors.Join(err, listener.Close(), certs.Close())
		}
	}
	if s.bridge, err = bridge.New(c, bridge.Options{Logger: log}); err != nil {
		return nil, errors.Join(err, listener.Close(), certs.Close(), s.closeAdmin())
	}
	s.http = httpServer(c, s.bridge, log)
	if s.adminListener != nil {
		s.admin = httpServer(c, s.bridge.Admin(), log)
	}
	return s, nil
}

// closeAdmin closes the admin listener, if there is one.
func (s *server) closeAdmin() error {
	if s.adminListener == nil {
		return nil
	}
	return s.adminListener.Close()
}

// idleTimeout is how long a connection may be kept for a further HTTP request.
// server.max_connections does not count it until it is a WebSocket.
const idleTimeout = time.Minute

func httpServer(c *config.Config, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h,
		// Of the TLS handshake, and of a request with its body; a WebSocket has its own.
		ReadTimeout:    c.Server.HandshakeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: int(c.Server.MaxHandshake),
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// run serves until ctx is done, then drains.
func (s *server) run(ctx context.Context, reload <-chan os.Signal) error {
	s.log.Info("serving", "version", version(), "address", s.listener.Addr().String(),
		"tls", s.config.Server.TLS, "routes", len(s.config.Routes))
	serving, served := errgroup.WithContext(ctx)
	serving.Go(func() error {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	if s.admin != nil {
		s.log.Info("serving operators", "address", s.adminListener.Addr().String())
		serving.Go(func() error {
			if err := s.admin.Serve(s.adminListener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	serving.Go(func() error {
		for {
			select {
			case <-served.Done():
				return s.drain()
			case <-reload:
				s.reload()
			}
		}
	})
	serving.Go(func() error {
		giveBackMemory(served)
		return nil
	})
	return serving.Wait()
}

// reload takes a changed configuration. What cannot be used changes nothing, and what
// belongs to the listener waits for the next start.
func (s *server) reload() {
	c, err := load(s.config.File, s.log)
	if err == nil {
		err = c.MakeMissing()
	}
	if err == nil {
		err = s.bridge.Reload(c)
	}
	if err != nil {
		s.log.Error("configuration not reloaded, the old one stays in force", "error", err)
		return
	}
	var changed, waiting []string
	for _, change := range config.Changes(s.config, c) {
		changed = append(changed, change.Key)
	}
	for _, change := range config.Changes(s.started, c) {
		if change.Restart {
			waiting = append(waiting, change.Key)
		}
	}
	s.config = c
	if len(waiting) > 0 {
		s.log.Warn("these keys take effect at the next start only", "keys", waiting)
	}
	s.log.Info("configuration reloaded", "changed", changed, "routes", len(c.Routes))
}

// drain accepts nobody any more, ends the sessions with 1001 and waits for them, at most
// server.drain long: what is left then goes with the process.
func (s *server) drain() error {
	s.log.Info("shutting down", "drain", s.config.Server.Drain.String())
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Server.Drain)
	defer cancel()
	// Closes the listener at once; it does not know of WebSockets.
	closed := make(chan error, 1)
	go func() { closed <- s.http.Shutdown(ctx) }()
	if err := errors.Join(s.bridge.Close(ctx), <-closed); err != nil {
		s.log.Warn("not everything has ended", "error", err)
	}
	if s.admin != nil { // last, so that /readyz tells of the shutdown
		_ = s.admin.Close()
	}
	return errors.Join(s.http.Close(), s.certs.Close())
}
