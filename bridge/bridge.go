// Package bridge connects WebSocket clients with ZeroMQ sockets.
//
// A [Bridge] is an http.Handler. A request goes this way:
//
//	ServeHTTP    who asks, for which route, may another one come in
//	zws.Accept   the subprotocol, the login in front, judged by the ZAP handler
//	login        READY or a refusal, after
//	route.open   what the login may do, its queue, the socket behind: the login there
//	session.run  what the client sends goes to the backend, what the backend sends
//	             goes to the queue, which the session's writer empties
//	session.end  the first cause becomes the close code
package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin"
	"github.com/zwsbridge/zwsbridge/bridge/internal/auth"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// Options are what a program gives a [Bridge] beside its configuration.
type Options struct {
	// Logger gets a line for every session, login and change of a backend, and no secret.
	// Nil means slog.Default().
	Logger *slog.Logger
}

// Bridge serves the routes of a configuration to WebSocket clients. It is safe for
// concurrent use.
type Bridge struct {
	log         *slog.Logger
	ctx         context.Context // ends with Close
	cancel      context.CancelCauseFunc
	state       atomic.Pointer[state]
	reloading   sync.Mutex
	connections connections
	failures    *auth.Failures
	metrics     *metrics.Metrics
	poller      *zws.Poller // nil on systems that have none: each session keeps a goroutine then

	mu       sync.Mutex
	sessions map[*session]bool
	number   uint64         // of the last session; begins anywhere, so that no other bridge has the same
	running  sync.WaitGroup // one for each session
}

// state is what a reload replaces as a whole.
type state struct {
	config     *config.Config
	auth       *auth.Chain
	routes     map[string]*route
	static     http.Handler // nil without
	oidc       *admin.OIDC  // of admin.oidc; nil without
	zapServers *auth.Servers
	unfollow   func() // ends the registration for changes of the users
}

var errShutdown = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "the bridge is shutting down: try again later"}

// New makes a bridge of a configuration that [Load] has found right: it opens the
// endpoints where native peers dial in and reads what the authenticators need. The caller
// ends it with Close.
func New(c *config.Config, o Options) (*Bridge, error) {
	b := &Bridge{
		log:      o.Logger,
		sessions: make(map[*session]bool),
		number:   rand.Uint64N(1<<32) << 20,
	}
	if b.log == nil {
		b.log = slog.Default()
	}
	var err error
	if b.metrics, err = metrics.New(source{b}, nil); err != nil {
		return nil, err
	}
	b.failures = auth.NewFailures(zap.HandlerFunc(b.authenticate), errTooManyFailures)
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	s, err := b.newState(c, nil)
	if err != nil {
		return nil, err
	}
	if b.poller, err = zws.NewPoller(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.close(nil)
		return nil, err
	}
	b.adopt(s)
	return b, nil
}

// newState makes everything that the configuration names. Routes whose backends are those
// of old are kept: adopt gives them their new rules once nothing can fail any more.
func (b *Bridge) newState(c *config.Config, old *state) (_ *state, err error) {
	s := &state{config: c, routes: make(map[string]*route)}
	defer func() {
		if err != nil {
			s.close(old)
		}
	}()
	if s.auth, err = auth.New(c, old.chain(), auth.Options{Logger: b.log, Observe: b.metrics.Login}); err != nil {
		return nil, err
	}
	if s.oidc, err = admin.NewOIDC(c, old.provider()); err != nil {
		return nil, err
	}
	if s.static, err = staticFiles(string(c.Server.Static)); err != nil {
		return nil, err
	}
	for i := range c.Routes {
		rc := &c.Routes[i]
		if r := old.keeps(c, rc); r != nil {
			s.routes[rc.Path] = r
		}
	}
	for i := range c.Routes {
		rc := &c.Routes[i]
		if s.routes[rc.Path] != nil {
			continue
		}
		for _, endpoint := range rc.Bind {
			if old.binds(endpoint, s.routes) {
				return nil, fmt.Errorf("route %s: %s is open with other settings: restart to change them", rc.Path, endpoint)
			}
		}
		if s.routes[rc.Path], err = b.newRoute(c, rc); err != nil {
			return nil, fmt.Errorf("route %s: %w", rc.Path, err)
		}
	}
	s.zapServers, err = auth.Listen(c, old.servers(), zap.HandlerFunc(b.authenticate), b.log)
	return s, err
}

// close ends what the state has and kept does not.
func (s *state) close(kept *state) {
	for path, r := range s.routes {
		if r != nil && r.upstream != nil && (kept == nil || kept.routes[path] != r) {
			r.upstream.close()
		}
	}
	if s.zapServers != nil {
		s.zapServers.Close(kept.servers())
	}
	if s.auth != nil {
		_ = s.auth.Close(kept.chain())
	}
}

// chain returns the ZAP chain of the state; nil without a state.
func (s *state) chain() *auth.Chain {
	if s == nil {
		return nil
	}
	return s.auth
}

// servers returns the open endpoints of zap.listen; nil without a state.
func (s *state) servers() *auth.Servers {
	if s == nil {
		return nil
	}
	return s.zapServers
}

// provider is the state's; nil without a state.
func (s *state) provider() *admin.OIDC {
	if s == nil {
		return nil
	}
	return s.oidc
}

// pathOf is the path of r as a label.
func pathOf(r *route) string {
	if r == nil {
		return metrics.NoRoute
	}
	return r.config.Path
}

// judge is the ZAP handler of every route and of every bind endpoint: the limit of refused
// logins before the chain in force.
func (b *Bridge) judge(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	return b.failures.Authenticate(ctx, req)
}

// authenticate asks the chain in force.
func (b *Bridge) authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	st := b.state.Load()
	if st == nil || st.auth == nil {
		return nil, errShutdown
	}
	return st.auth.Authenticate(ctx, req)
}

// ServeHTTP serves a WebSocket client on the route of the request's path, or a static
// file. It returns when the client is logged in, or has been told why it is not.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st := b.state.Load()
	route := st.routes[r.URL.Path]
	if !websocket.IsWebSocketUpgrade(r) {
		st.serveFile(w, r, route != nil)
		return
	}
	from, err := clientaddr.Locate(r, st.config.Server.TrustedProxies)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := b.admit(route, from); err != nil {
		b.log.LogAttrs(b.ctx, slog.LevelInfo, "client refused", slog.String("path", r.URL.Path),
			slog.String("address", from.String()), slog.String("error", err.Error()))
		b.metrics.Refused(pathOf(route), zws.Cause(err))
		_ = zws.Refuse(w, r, zws.Options{Origins: st.config.Server.Origins, Secure: from.Secure, WriteTimeout: st.config.Server.WriteTimeout}, err)
		return
	}
	b.serve(w, r, route, from)
}

// admit decides what can be decided before a word was spoken. If it lets the client in it
// has counted the connection.
func (b *Bridge) admit(r *route, from clientaddr.Client) error {
	switch {
	case b.ctx.Err() != nil:
		return errShutdown
	case r == nil:
		return &zws.CloseError{Code: zws.CodeNoRoute, Status: zap.Refused, Reason: "there is no such route"}
	case b.failures.Blocked(from.Address):
		return errTooManyFailures
	}
	return b.connections.enter(from.Address)
}

// serve logs a client in and starts its session.
func (b *Bridge) serve(w http.ResponseWriter, r *http.Request, route *route, from clientaddr.Client) {
	o := route.rules.Load().options
	s := b.enter(route, from, o.Domain)
	o.Address = from.String()
	o.Secure = from.Secure
	server := &b.state.Load().config.Server
	// An address that a PROXY header gave is one on the proxy's machine, if loopback.
	o.PlaintextAllowed = from.Local && !server.ProxyProtocol || server.InsecurePlaintext
	o.Poller = b.poller
	o.Multiplex = true
	ws, err := s.login(w, r, o)
	if err != nil {
		s.close()
		b.leave(s)
		b.metrics.Refused(pathOf(route), zws.Cause(err))
		b.log.LogAttrs(b.ctx, slog.LevelInfo, "client refused", append(s.attributes(), slog.String("error", err.Error()))...)
		return
	}
	s.start(ws.Channel())
	s.revise(b.ctx, b.state.Load().auth, ws.Login()) // the users may have changed meanwhile
	s.route.metrics.Started(s.ws.Login().Dialect, time.Since(s.since))
	b.log.LogAttrs(b.ctx, slog.LevelInfo, "session started", s.attributes()...)
	s.run(func() { b.leave(s) })
}

// enter registers a session that is about to log in.
func (b *Bridge) enter(r *route, from clientaddr.Client, domain string) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	s := newSession(b, r, b.number, from, domain)
	b.sessions[s] = true
	b.running.Add(1)
	return s
}

func (b *Bridge) leave(s *session) {
	b.mu.Lock()
	delete(b.sessions, s)
	b.mu.Unlock()
	if s.carrier == nil {
		b.connections.leave(s.from.Address)
	}
	b.running.Done()
}

// each calls f for every session there is, without a lock.
func (b *Bridge) each(f func(*session)) {
	b.mu.Lock()
	all := make([]*session, 0, len(b.sessions))
	for s := range b.sessions {
		all = append(all, s)
	}
	b.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}

// Close ends all sessions with 1001 and waits for them until ctx is done; then it closes
// the backends. The error is that of ctx if sessions were left. Requests that come later
// are refused.
func (b *Bridge) Close(ctx context.Context) error {
	b.cancel(errShutdown)
	b.each(func(s *session) { s.end(errShutdown) })
	done := make(chan struct{})
	go func() {
		b.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("sessions were left: %w", ctx.Err())
	}
	b.reloading.Lock()
	defer b.reloading.Unlock()
	if st := b.state.Swap(&state{config: b.state.Load().config}); st != nil {
		st.stop()
		st.close(nil)
	}
	if b.poller != nil {
		_ = b.poller.Close() // no session is left that it watches; again is no harm
	}
	return nil
}
