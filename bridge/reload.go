package bridge

import (
	"context"
	"reflect"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/auth"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// Reload puts another configuration, one that [Load] has found right, in the place of the
// present one. If it returns an error nothing has changed. Listeners and TLS belong to the
// program, not to the bridge, and stay. Live sessions are looked at anew: a login that would
// be refused now ends with 4401, rights are those of the new rules, and sessions on a route
// that is gone, or whose backends or domain are others now, or that does not take their
// mechanism any more, end with 1001 and may come again, as do those on which somebody has a
// say now who was not asked.
func (b *Bridge) Reload(c *config.Config) error {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	if b.ctx.Err() != nil {
		return errShutdown
	}
	old := b.state.Load()
	s, err := b.newState(c, old)
	if err != nil {
		return err
	}
	rules := make(map[*route]*rules)
	for i := range c.Routes {
		r := s.routes[c.Routes[i].Path]
		if rules[r], err = newRules(c, &c.Routes[i], zap.HandlerFunc(b.judge)); err != nil {
			s.close(old)
			return err
		}
	}
	for r, rules := range rules {
		r.rules.Store(rules)
	}
	b.adopt(s)
	old.stop()
	b.each(func(s *session) {
		if kept := b.state.Load().routes[s.route.config.Path]; kept != s.route {
			s.end(errRouteChanged)
		}
	})
	_ = old.auth.Close(s.auth) // who was let in by what is no more has no rights now
	b.revise()
	old.close(s)
	return nil
}

var errRouteChanged = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "this route was changed: connect again"}

// adopt makes s the state in force and follows changes of its users.
func (b *Bridge) adopt(s *state) {
	s.unfollow = s.auth.OnChange(b.revise)
	b.connections.limit(s.config.Server.MaxConnections, s.config.Server.MaxConnectionsPerIP)
	b.failures.SetLimit(s.config.Server.MaxFailures)
	b.state.Store(s)
}

// stop ends the following of changes.
func (s *state) stop() {
	if s.unfollow != nil {
		s.unfollow()
	}
}

// binds tells whether a route of s other than those in kept has endpoint open.
func (s *state) binds(endpoint string, kept map[string]*route) bool {
	if s == nil {
		return false
	}
	for path, r := range s.routes {
		if kept[path] != r && slices.Contains(r.config.Bind, endpoint) {
			return true
		}
	}
	return false
}

// keeps returns the route of s at the same path if the new configuration leaves its
// backends as they are; nil if it does not. s may be nil.
func (s *state) keeps(c *config.Config, rc *config.Route) *route {
	if s == nil {
		return nil
	}
	r := s.routes[rc.Path]
	if r == nil || !reflect.DeepEqual(behind(s.config, r.config), behind(c, rc)) {
		return nil
	}
	return r
}

// behind is the part of a configuration on which a route's backends depend.
func behind(c *config.Config, rc *config.Route) any {
	r := *rc
	r.Allow, r.OnWide, r.Separator = nil, "", nil
	r.Domain, r.ClientMechanisms = "", nil
	s := c.Server
	return []any{r, s.MaxMessage, s.MaxFrames, s.MaxTopic, s.CurveCert}
}

// revise works out anew what every live session may do, after a change of the users or of
// the rules.
func (b *Bridge) revise() {
	auth := b.state.Load().auth
	if auth == nil {
		return
	}
	slots := make(chan struct{}, revisions)
	var running sync.WaitGroup
	b.each(func(s *session) {
		ws := s.connection()
		if ws == nil { // it is about to start, and looks for itself then
			return
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			s.revise(b.ctx, auth, ws.Login())
		})
	})
	running.Wait()
}

// revisions is how many sessions are looked at anew at the same time: some have to ask an
// HTTP service.
const revisions = 64

// revise ends the session if its login would be refused now, or is not of the kind that the
// route wants now, and else gives it the rights that it has now if the rules are others than
// it had its rights by.
func (s *session) revise(ctx context.Context, chain *auth.Chain, l *zws.Login) {
	reply, rules := s.newest(l).Reply, s.route.rules.Load()
	switch o := &rules.options; {
	case s.bridge.state.Load().routes[s.route.config.Path] != s.route:
		s.end(errRouteChanged) // it was about to be registered when a reload took the route away
		return
	case chain.Revoked(reply):
		s.end(errRevoked)
		return
	case chain.Unasked(reply):
		s.end(errLoginsChanged)
		return
	case o.Domain != s.domain || !slices.Contains(o.Mechanisms, l.Mechanism):
		s.end(errRouteChanged)
		return
	case s.channel == nil: // the sessions that it carries are looked at by themselves
		return
	case s.channel.privileges.Load().by == rules:
		return
	}
	if err := s.reconsider(ctx, l); err != nil {
		s.end(err)
	}
}

var errLoginsChanged = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "the rules for logins were changed: connect again"}

var errRevoked = &zws.CloseError{Code: zws.CodeExpired, Reason: "your login is no longer valid: log in again"}
