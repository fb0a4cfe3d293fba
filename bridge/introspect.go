package bridge

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin"
	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// What operators see of a bridge.
type (
	Session  = admin.Session
	Backend  = admin.Backend
	Identity = admin.Identity
)

// Admin returns the operators' interface, for a listener of its own: health checks, metrics,
// sessions and backends, and a page that shows them.
func (b *Bridge) Admin() http.Handler { return admin.New(source{b}, b.metrics, b.log) }

// source is what the operators' interface may ask of the bridge.
type source struct{ *Bridge }

func (s source) Config() *config.Config { return s.state.Load().config }
func (s source) OIDC() *admin.OIDC      { return s.state.Load().oidc }
func (s source) Connections() int       { return s.connections.open() }

func (s source) Authenticate(ctx context.Context, req *zap.Request) *zap.Reply {
	return zap.Decide(ctx, zap.HandlerFunc(s.judge), req)
}

func (s source) StillValid(reply *zap.Reply) bool {
	auth := s.state.Load().auth
	return auth != nil && !auth.Revoked(reply) && !auth.Unasked(reply)
}

// Unready returns why clients cannot be served: the bridge is shutting down, or a route whose
// clients share a connection has no backend.
func (s source) Unready() string {
	if s.ctx.Err() != nil {
		return "shutting down"
	}
	var waiting []string
	for _, r := range s.state.Load().sorted() {
		if u, ok := r.upstream.(*shared); ok && r.config.Ready != config.ReadyNone && len(r.config.Bind) == 0 && !u.ready() {
			waiting = append(waiting, r.config.Path)
		}
	}
	if len(waiting) == 0 {
		return ""
	}
	return "no backend: " + strings.Join(waiting, " ")
}

// Gauges implements metrics.Source.
func (s source) Gauges() metrics.Gauges {
	g := metrics.Gauges{
		Connections: s.connections.open(),
		Queues:      make(map[string]metrics.Queue),
		Backends:    make(map[metrics.BackendState]int),
	}
	for path := range s.state.Load().routes {
		g.Queues[path] = metrics.Queue{}
	}
	for _, session := range s.Sessions() {
		q := g.Queues[session.Route]
		g.Queues[session.Route] = metrics.Queue{Messages: q.Messages + session.Messages, Bytes: q.Bytes + session.Bytes}
	}
	for _, b := range s.Backends() {
		g.Backends[metrics.BackendState{Route: b.Route, State: b.State}]++
	}
	return g
}

// Sessions lists the sessions that are logged in, oldest first.
func (b *Bridge) Sessions() []Session {
	list := []Session{}
	b.each(func(s *session) {
		if info, ok := s.info(); ok {
			list = append(list, info)
		}
	})
	slices.SortFunc(list, func(a, b Session) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

func (s *session) info() (Session, bool) {
	ws := s.connection()
	if ws == nil || ws.Cause() != nil {
		return Session{}, false
	}
	l := ws.Login()
	info := Session{
		Number:    s.number,
		User:      l.User(),
		Route:     s.route.config.Path,
		Dialect:   l.Dialect,
		Mechanism: string(l.Mechanism),
		Relayed:   string(l.Relayed),
		Address:   s.from.String(),
		Since:     s.since,
	}
	if s.channel != nil {
		info.Dropped = s.channel.queue.Dropped()
		info.Messages, info.Bytes = s.channel.queue.Len()
		info.Lag = s.channel.queue.Lag().Seconds()
	}
	if end, limited, err := l.Reply.Metadata.Expires(); err == nil && limited {
		info.Expires = end
	}
	return info, true
}

// Backends lists the endpoints of all routes and the peers that have dialled in.
func (b *Bridge) Backends() []Backend {
	list := []Backend{}
	add := func(r *route, session uint64, statuses []backend.Status) {
		for _, s := range statuses {
			info := Backend{
				Route: r.config.Path, Session: session, Position: s.Position, Address: s.Address, User: s.User,
				State: s.State.String(), Since: s.Since, Reconnects: s.Reconnects,
			}
			if s.Err != nil {
				info.Error = s.Err.Error()
			}
			list = append(list, info)
		}
	}
	for _, r := range b.state.Load().sorted() {
		add(r, 0, r.upstream.statuses())
	}
	b.each(func(s *session) {
		if s.connection() == nil || s.channel == nil {
			return
		}
		add(s.route, s.number, s.channel.socket.Status())
	})
	return list
}

// Kick ends the session of that number, or every session of that user, with 4401, and returns
// how many there were. It fails unless exactly one of the two is given.
func (b *Bridge) Kick(number uint64, user string) (int, error) {
	if (number == 0) == (user == "") {
		return 0, admin.ErrQuery
	}
	kicked := 0
	b.each(func(s *session) {
		ws := s.connection()
		if ws == nil || ws.Cause() != nil || user == "" && s.number != number || user != "" && ws.Login().User() != user {
			return
		}
		kicked++
		s.end(errKicked)
	})
	return kicked, nil
}

var errKicked = &zws.CloseError{Code: zws.CodeExpired, Reason: "an administrator has ended this session"}

// sorted lists the routes by path.
func (s *state) sorted() []*route {
	list := make([]*route, 0, len(s.routes))
	for _, r := range s.routes {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *route) int { return cmp.Compare(a.config.Path, b.config.Path) })
	return list
}

// ready tells whether a peer is connected.
func (u *shared) ready() bool {
	return slices.ContainsFunc(u.statuses(), func(s backend.Status) bool { return s.State == backend.Connected })
}
