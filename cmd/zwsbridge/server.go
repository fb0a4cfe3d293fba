package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/internal/buildinfo"
	"github.com/zwsbridge/zwsbridge/internal/dnssd"
)

// server is a bridge with its listeners.
type server struct {
	started   *config.Config // the configuration of the listeners
	config    *config.Config // the configuration in use; only run changes it
	log       *logger
	bridge    *bridge.Bridge
	listener  net.Listener
	certs     io.Closer
	http      *http.Server
	announcer announcer
	notifier  *notifier // nil: nobody is notified

	program  *process         // this process and the one before
	handover <-chan os.Signal // each is a request to hand over; nil: none comes
	unwatch  func()           // ends the notifications of the watchdog
	resuming <-chan time.Time // when Bridge.Resume is called again; nil: it has not failed

	// The admin interface; nil without admin.listen.
	adminListener net.Listener
	admin         *http.Server
	// The same at admin.socket; nil without.
	socketListener net.Listener
	socket         *http.Server
	reloads        chan reloadRequest // from operators
}

// newServer opens the listeners that are not among the passed ones and creates the bridge. The
// caller calls run, which closes them.
func newServer(c *config.Config, log *logger, p *process) (*server, error) {
	passed := p.passed
	listener, tlsConfig, certs, err := listen(c, log.Logger, passed)
	if err != nil {
		return nil, err
	}
	listener = p.pausable(listener)
	s := &server{started: c, config: c, log: log, listener: listener, certs: certs, announcer: announcer{log: log.Logger, publish: dnssd.Publish},
		program: p, reloads: make(chan reloadRequest)}
	if c.Admin.Listen != "" {
		if s.adminListener, err = passed.listen(adminSocket, c.Admin.Listen, log.Logger); err != nil {
			return nil, errors.Join(err, s.closeListeners())
		}
	}
	if c.Admin.Socket != "" {
		if s.socketListener, err = listenSocket(string(c.Admin.Socket), passed); err != nil {
			return nil, errors.Join(err, s.closeListeners())
		}
	}
	if err := passed.unused(); err != nil {
		return nil, errors.Join(err, s.closeListeners())
	}
	p.use(s)
	if s.bridge, err = bridge.New(c, bridge.Options{
		Logger: log.Logger, CertificateExpiry: expiry(c, tlsConfig), Reload: s.requestReload,
		Socket: p.socket, Exclusive: func() error { p.parent.Release(); return nil }, Predecessor: p.parent.Left,
	}); err != nil {
		return nil, errors.Join(err, s.closeListeners())
	}
	s.http = httpServer(c, s.bridge, log.Logger)
	s.listener = withTLS(s.bridge.Listener(s.listener, s.http), tlsConfig)
	if s.adminListener != nil {
		s.admin = httpServer(c, s.bridge.Admin(), log.Logger)
		s.adminListener = s.bridge.AdminListener(s.adminListener, s.admin)
	}
	if s.socketListener != nil {
		s.socket = httpServer(c, s.bridge.AdminSocket(), log.Logger)
		s.socket.WriteTimeout = socketWriteTimeout
	}
	return s, nil
}

func (s *server) closeListeners() error {
	err := errors.Join(s.listener.Close(), s.certs.Close())
	for _, l := range []net.Listener{s.adminListener, s.socketListener} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

// idleTimeout limits how long a connection waits for another HTTP request.
const idleTimeout = time.Minute

// httpServer returns a server without HTTP/2, whose streams would evade the limits on
// connections. The listener limits writes.
func httpServer(c *config.Config, h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Protocols: protocols,
		Handler:   h,
		// Covers the TLS handshake and a request with its body. The bridge limits the
		// handshake on a WebSocket itself.
		ReadTimeout:    c.Server.HandshakeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: int(c.Server.MaxHandshake),
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// run serves until ctx is done or a listener fails, and shuts down. It reloads the
// configuration on each signal from reload, and hands over on one from s.handover.
func (s *server) run(ctx context.Context, reload <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.log.Info("serving", "version", buildinfo.Get().Version, "address", s.listener.Addr().String(),
		"tls", s.config.Server.TLS, "routes", len(s.config.Routes))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveHTTP(s.http, s.listener) })
	if s.admin != nil {
		s.log.Info("serving the admin interface", "address", s.adminListener.Addr().String())
		group.Go(func() error { return serveHTTP(s.admin, s.adminListener) })
	}
	if s.socket != nil {
		s.log.Info("serving the admin interface on a socket", "socket", s.socketListener.Addr().String())
		group.Go(func() error { return serveHTTP(s.socket, s.socketListener) })
	}
	s.takeOver(ctx)
	s.announcer.set(s.config, s.listener)
	// Also while shutting down, and not waited for: a bridge that hangs must be able to end.
	watched, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	s.unwatch = unwatch
	go s.notifier.watchdog(watched, s.probe)
	s.notifier.ready(s.status())
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return s.shutdown()
			case <-s.handover:
				if child := s.handOver(ctx); child != nil {
					defer cancel()
					return s.retire(ctx, child, reload)
				}
			case <-s.resuming:
				s.resume()
			case <-reload:
				_, _ = s.reload() // logged
			case request := <-s.reloads:
				request.answer(s.reload())
			}
		}
	})
	group.Go(func() error {
		releaseMemory(ctx)
		return nil
	})
	return group.Wait()
}

func (s *server) status() string { return "serving on " + s.listener.Addr().String() }

// probe returns if the bridge does not hang: it takes the locks of the connections and backends.
func (s *server) probe() {
	_ = s.bridge.Sessions()
	_ = s.bridge.Backends()
}

// serveHTTP serves l until the server is shut down.
func serveHTTP(server *http.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// reload applies the configuration file again, and notifies systemd.
func (s *server) reload() (bridge.Reloaded, error) {
	s.notifier.reloading()
	done, err := s.apply()
	status := s.status()
	if err != nil {
		status = "the last reload changed nothing: " + err.Error()
	}
	s.notifier.ready(status)
	return done, err
}

// apply puts the configuration file in force. On any error the current configuration stays in
// use. Keys that the listeners depend on take effect at the next start.
func (s *server) apply() (bridge.Reloaded, error) {
	c, err := loadAndWarn(s.config.File, s.log)
	if err == nil {
		err = c.MakeMissing()
	}
	if err == nil {
		err = s.bridge.Reload(c)
	}
	if err != nil {
		s.log.configure(&s.config.Log)
		s.bridge.ReloadFailed(err)
		s.log.Error("configuration not reloaded, the current one stays in use", "error", err)
		return bridge.Reloaded{}, err
	}
	var done bridge.Reloaded
	for _, change := range config.Changes(s.config, c) {
		done.Changed = append(done.Changed, change.Key)
	}
	for _, change := range config.Changes(s.started, c) {
		if change.Restart {
			done.NeedRestart = append(done.NeedRestart, change.Key)
		}
	}
	s.config = c
	s.announcer.set(c, s.listener)
	if len(done.NeedRestart) > 0 {
		s.log.Warn("changes that take effect after a restart only", "keys", done.NeedRestart)
	}
	s.log.Info("configuration reloaded", "changed", done.Changed, "routes", len(c.Routes))
	return done, nil
}

// shutdown stops accepting connections, closes those there are with 1001, and waits for
// them to end for server.drain at most. The rest ends with the process.
func (s *server) shutdown() error {
	s.log.Info("shutting down", "drain", s.config.Server.Drain.String())
	s.notifier.stopping()
	s.announcer.close()
	return s.close(context.Background())
}

// close is shutdown without a word. It does not wait once ctx is done.
func (s *server) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Server.Drain)
	defer cancel()
	// Shutdown closes the listener at once. It does not know the hijacked connections of
	// WebSockets, which the bridge closes.
	closed := make(chan error, 1)
	go func() { closed <- s.http.Shutdown(ctx) }()
	if err := errors.Join(s.bridge.Close(ctx), <-closed); err != nil {
		s.log.Warn("not all connections ended in time", "error", err)
	}
	for _, admin := range []*http.Server{s.admin, s.socket} { // last, so that /readyz can report the shutdown
		if admin != nil {
			_ = admin.Close()
		}
	}
	return errors.Join(s.http.Close(), s.certs.Close())
}
