package bridge

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin"
	"github.com/zwsbridge/zwsbridge/bridge/internal/auth"
	"github.com/zwsbridge/zwsbridge/bridge/internal/conn"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/bridge/internal/static"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// state is what a reload replaces as a whole. The zero value is that of a bridge that is not
// open.
type state struct {
	config    *config.Config
	auth      *auth.Chain
	routes    map[string]*route.Route // by path
	static    http.Handler
	oidc      *admin.OIDC     // nil without admin.oidc
	zapListen *auth.Servers   // that native servers ask
	history   config.History  // where routes keep their messages, for the life of the bridge
	unfollow  func()          // ends the calls after changes of the users
	updates   []*route.Update // of routes that stay; nil once s is in force
}

// newState makes everything that the configuration names and takes over from old what stays
// as it is: routes keep their backends, and get their new rules only once nothing can fail
// any more. If it fails it has closed what it made.
func (b *Bridge) newState(c *config.Config, old *state) (_ *state, err error) {
	s := &state{config: c, routes: make(map[string]*route.Route), history: c.History}
	if old.config != nil {
		s.history = old.history
	}
	defer func() {
		if err != nil {
			s.close(old)
		}
	}()
	if s.auth, err = auth.New(c, old.auth, auth.Options{
		Handler: b.options.Handler, Logger: b.options.Logger, Observe: b.metrics.Login, Waiting: b.metrics.LoginWaits,
		Exclusive: b.options.Exclusive, Entry: b.metrics.Authenticator,
	}); err != nil {
		return nil, err
	}
	if s.oidc, err = admin.NewOIDC(c, old.oidc); err != nil {
		return nil, err
	}
	if s.static, err = static.New(string(c.Server.Static)); err != nil {
		return nil, fmt.Errorf("server.static: %w", err)
	}
	if err := b.newRoutes(s, old); err != nil {
		return nil, err
	}
	s.zapListen, err = auth.Listen(c, old.zapListen, zap.HandlerFunc(b.authenticate), b.options.Logger, b.refusals, b.options.Socket)
	return s, err
}

// newRoutes fills s.routes: with the routes of old that can stay, and new ones.
func (b *Bridge) newRoutes(s, old *state) (err error) {
	for i := range s.config.Routes {
		rc := &s.config.Routes[i]
		if r := old.routes[rc.Path]; r != nil && r.Matches(s.config, rc) {
			s.routes[rc.Path] = r
			u, err := r.Prepare(s.config, rc, b.routeOptions(s, old, rc.Path))
			if err != nil {
				return fmt.Errorf("route %s: %w", rc.Path, err)
			}
			s.updates = append(s.updates, u)
		}
	}
	for i := range s.config.Routes {
		rc := &s.config.Routes[i]
		if s.routes[rc.Path] != nil {
			continue
		}
		o := b.routeOptions(s, old, rc.Path)
		if r := old.routes[rc.Path]; r != nil {
			o.Archive, o.Connected = r.Archive(), r.Connected()
		}
		if s.routes[rc.Path], err = route.New(s.config, rc, o); err != nil {
			delete(s.routes, rc.Path)
			return fmt.Errorf("route %s: %w", rc.Path, err)
		}
	}
	return nil
}

// routeOptions returns the options of the route at path in s.
func (b *Bridge) routeOptions(s, old *state, path string) route.Options {
	return route.Options{
		Handler: b.failures, Metrics: b.metrics, Log: b.options.Logger, Refusals: b.refusals, History: s.history,
		Socket: b.options.Socket, Exclusive: b.options.Exclusive,
		Inherit: func(endpoint string) *zmtp.Listener { return old.listener(endpoint, path) },
	}
}

// listener returns what listens on an endpoint, which the route at path is to have now; nil if
// nothing does. A port that the system chooses stays with its route.
func (s *state) listener(endpoint, path string) *zmtp.Listener {
	for at, r := range s.routes {
		if l := r.Listener(endpoint); l != nil && (at == path || !strings.HasSuffix(endpoint, ":0")) {
			return l
		}
	}
	return nil
}

// has reports whether the route at path keeps its messages in a.
func (s *state) has(a *route.Archive, path string) bool {
	r := s.routes[path]
	return r != nil && r.Archive() == a
}

// close closes what s has and kept does not.
func (s *state) close(kept *state) {
	for _, u := range s.updates {
		u.Discard()
	}
	s.closeRoutes(kept)
	s.zapListen.Close(kept.zapListen)
	_ = s.auth.Close(kept.auth)
}

func (s *state) closeRoutes(kept *state) {
	for path, r := range s.routes {
		if kept.routes[path] != r {
			r.Close()
			if a := r.Archive(); a != nil && !kept.has(a, path) {
				_ = a.Close() // it has logged what could not be stored
			}
		}
	}
}

// stop ends the calls after changes of the users.
func (s *state) stop() {
	if s.unfollow != nil {
		s.unfollow()
	}
}

// adopt makes s the state in force instead of old, and follows changes of its users.
func (b *Bridge) adopt(s, old *state) {
	s.unfollow = s.auth.OnChange(b.connections.Reevaluate)
	b.repeats.SetInterval(s.config.Log.Repeat)
	b.setLimits(s.config)
	b.failures.SetLimit(s.config.Server.MaxFailures, s.config.Zap.Timeout)
	s.zapListen.SetRules(s.config)
	for path, r := range s.routes { // one route at a time writes to an archive
		if before := old.routes[path]; before != nil && before != r {
			before.Keep(false)
		}
		r.Keep(true)
	}
	b.state.Store(s)
}

// ReloadFailed reports to operators that the program has a configuration that it could not read, and why.
func (b *Bridge) ReloadFailed(err error) { b.metrics.Reloaded(err) }

// Reload validates another configuration as [New] does and puts it in force. If it returns an
// error nothing has changed. Listeners and TLS belong to the program, not to the
// bridge, and stay.
//
// Live sessions are re-evaluated. A login that would be refused now ends with 4401, all
// others have their rights by the new rules. The endpoints of a route, their keys, the logins
// there and limits change in place. Sessions end with 1001, and may connect again, if their
// route is gone, has another socket or domain, shares its backends in another way, or does not
// take their mechanism any more, or if an authenticator has a say now that was not asked.
func (b *Bridge) Reload(c *config.Config) error { return b.reload(c, nil) }

// reload is Reload, also while clients are refused for that cause.
func (b *Bridge) reload(c *config.Config, closing error) (err error) {
	defer func() { b.metrics.Reloaded(err) }()
	b.reloading.Lock()
	defer b.reloading.Unlock()
	if cause := b.connections.Closing(); cause != nil && cause != closing {
		return conn.ErrShutdown
	}
	if c, err = validate(c, b.options); err != nil {
		return err
	}
	old := b.state.Load()
	s, err := b.newState(c, old)
	if err != nil {
		return err
	}
	rules := make(map[*route.Route]*route.Rules)
	for i := range c.Routes {
		r := s.routes[c.Routes[i].Path]
		if rules[r], err = route.NewRules(c, &c.Routes[i], b.failures); err != nil {
			s.close(old)
			return err
		}
	}
	for r, rules := range rules {
		r.SetRules(rules)
	}
	for _, u := range s.updates {
		u.Apply()
	}
	s.updates = nil
	b.adopt(s, old)
	old.stop()
	b.connections.EndReplaced()
	_ = old.auth.Close(s.auth) // logins by authenticators that are gone have no rights now
	b.connections.Reevaluate()
	old.close(s)
	return nil
}
