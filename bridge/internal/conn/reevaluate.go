package conn

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zws"
)

// Why a reload or a change of the users ends connections.
var (
	errRouteChanged  = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "this route was changed: connect again"}
	errLoginsChanged = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "the rules for logins were changed: connect again"}
	errRevoked       = &zws.CloseError{Code: zws.CodeExpired, Reason: "your login was revoked: log in again"}
)

// maxReevaluations bounds the connections that are re-evaluated at a time: some have to ask
// an HTTP service.
const maxReevaluations = 64

// Reevaluate re-evaluates what every live connection may do, after a change of the users, the
// rules or the routes, and returns when all is done. Connections whose login would be refused
// now end with 4401; streams on a route that is gone or was replaced, and logins that need
// another decision, end with 1001 and may connect again; all others get the rights that they
// have now.
func (s *Set) Reevaluate() {
	slots := make(chan struct{}, maxReevaluations)
	var running sync.WaitGroup
	for _, c := range s.all() {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			c.reevaluate(s.ctx)
		})
	}
	running.Wait()
}

// EndReplaced ends the streams and connections on routes that are not in force any more. It
// does not block.
func (s *Set) EndReplaced() {
	for _, c := range s.all() {
		for _, e := range c.sessions() {
			if rt := e.id().route; s.o.Route(rt.Path()) != rt {
				e.end(errRouteChanged)
			}
		}
	}
}

func (c *connection) reevaluate(ctx context.Context) {
	l := c.login.Load()
	switch {
	case c.set.o.Logins.Revoked(l.Reply):
		c.end(errRevoked)
	case c.set.o.Logins.Unasked(l.Reply):
		c.end(errLoginsChanged)
	case !c.stillServed(c.route, l):
		c.end(errRouteChanged)
	default:
		o := &c.route.Rules().Options
		if ws := c.ready(); ws != nil {
			ws.SetLimits(o.MaxMessage, o.MaxFrames)
		}
		for _, s := range c.all() {
			s.catchUp(ctx)
		}
	}
}

// stillServed reports whether the route is in force and takes the login as it was made.
func (c *connection) stillServed(rt *route.Route, l *zws.Login) bool {
	o := &rt.Rules().Options
	return c.set.o.Route(rt.Path()) == rt && o.Domain == c.domain && slices.Contains(o.Mechanisms, l.Mechanism)
}

// catchUp brings a stream up to date with the login of its connection and the rules of its
// route, which may have changed, also while it was opened.
func (s *stream) catchUp(ctx context.Context) {
	l := s.conn.login.Load()
	if !s.conn.stillServed(s.route, l) {
		s.end(errRouteChanged)
		return
	}
	if s.evaluated(l) {
		return
	}
	if err := s.reevaluate(ctx); err != nil {
		s.end(err)
	}
}

// evaluated reports whether the stream has its rights from this login and the rules in force.
func (s *stream) evaluated(l *zws.Login) bool {
	r := s.rights.Load()
	return r.Rules == s.route.Rules() && r.Login == l
}

// reevaluate gives the stream the rights of the connection's login by the rules in force.
// Subscriptions that are no longer permitted, or not as widely, are dropped, and the client
// is notified.
func (s *stream) reevaluate(ctx context.Context) error {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	rules := s.route.Rules()
	s.queue.SetBounds(rules.Queue)
	rights, err := rules.Rights(ctx, s.conn.login.Load())
	if err != nil {
		return err
	}
	dropped, err := s.adopt(ctx, rights)
	if dropped > 0 {
		s.conn.set.log("subscriptions dropped: no longer allowed",
			append(s.attributes(s.conn.login.Load()), slog.Int("number", dropped))...)
	}
	return err
}
