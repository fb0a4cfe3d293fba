package bridge

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/accept"
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin"
	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
)

// What operators see of a bridge.
type (
	Session  = admin.Session
	Backend  = admin.Backend
	Identity = admin.Identity
	Refusal  = refusal.Refusal
	Reloaded = admin.Reloaded
)

// Admin returns the operators' interface, for a listener of its own: health checks, metrics,
// sessions and backends, and a page that shows them.
func (b *Bridge) Admin() http.Handler {
	h := admin.New(source{b}, b.metrics, b.options.Logger)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !accept.Busy(w, r) {
			h.ServeHTTP(w, r)
		}
	})
}

// AdminSocket is Admin for a listener that only administrators can connect to, such as a unix
// socket with mode 0660: they need no login.
func (b *Bridge) AdminSocket() http.Handler { return admin.OnSocket(b.Admin()) }

// Connections returns how many WebSocket connections there are.
func (b *Bridge) Connections() int { return b.connections.Open() }

// Sessions lists the sessions that are logged in, oldest first.
func (b *Bridge) Sessions() []Session { return b.connections.Sessions() }

// Backends lists the endpoints of all routes and the inbound backends, without CanDisconnect.
func (b *Bridge) Backends() []Backend {
	list := []Backend{}
	add := func(path string, session uint64, statuses []backend.Status) {
		for _, one := range statuses {
			list = append(list, admin.NewBackend(path, session, one))
		}
	}
	for _, r := range b.state.Load().sorted() {
		add(r.Path(), 0, r.Status())
	}
	b.connections.EachBackend(add)
	return list
}

// Refusals lists the last 200 clients, channels, renewals, connections, inbound backends, servers at
// zap.listen and operators that were refused, the newest first. user is a name or its form in the list,
// address an IP address or a network such as 10.0.0.0/8; empty means all.
func (b *Bridge) Refusals(user, address string) []Refusal { return b.refusals.List(user, address) }

// Finders lists what finds endpoints for the routes.
func (s source) Finders() []admin.Finder {
	list := []admin.Finder{}
	for _, r := range s.state.Load().sorted() {
		for _, f := range r.Sources() {
			list = append(list, admin.NewFinder(r.Path(), string(f.Kind), f.Status))
		}
	}
	return list
}

// Kick ends the session of that number, or every session of the user, with 4401, and returns
// how many there were. It fails unless exactly one of the two is given.
func (b *Bridge) Kick(number uint64, user string) (int, error) {
	if (number == 0) == (user == "") {
		return 0, admin.ErrQuery
	}
	return b.connections.Kick(number, user), nil
}

// Identities looks up a user of a token endpoint, or a UUID; the other is empty. There is at
// most one for each [auth.NAME] with an identity_map, and none is made.
func (b *Bridge) Identities(user, id string) ([]Identity, error) {
	if (user == "") == (id == "") {
		return nil, admin.ErrQuery
	}
	found := []Identity{}
	identities, err := b.state.Load().auth.Identities(user, id)
	for _, i := range identities {
		found = append(found, Identity(i))
	}
	return found, err
}

func (s source) ReloadFile(ctx context.Context) (Reloaded, error) {
	if s.options.Reload == nil {
		return Reloaded{}, admin.ErrNoReload
	}
	return s.options.Reload(ctx)
}

// Route returns the route at path; nil if there is none.
func (s source) Route(path string) *route.Route { return s.route(path) }

// Archives lists what routes with a history keep, by path.
func (s source) Archives() (list []admin.Archive) {
	for _, r := range s.state.Load().sorted() {
		if a := r.Archive(); a != nil {
			list = append(list, admin.Archive{Path: r.Path(), Archive: a})
		}
	}
	return list
}

// sorted lists the routes by path.
func (s *state) sorted() []*route.Route {
	list := make([]*route.Route, 0, len(s.routes))
	for _, r := range s.routes {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *route.Route) int { return cmp.Compare(a.Path(), b.Path()) })
	return list
}

// source is what the operators' interface and the metrics may ask of the bridge.
type source struct{ *Bridge }

func (s source) Refused(f Refusal)      { s.refusals.Add(f) }
func (s source) Config() *config.Config { return s.state.Load().config }
func (s source) OIDC() *admin.OIDC      { return s.state.Load().oidc }
func (s source) Predecessor() int       { return s.options.Predecessor() }
func (s source) MaxConnections() int    { _, most := s.gate.Open(); return most }

func (s source) Authenticate(ctx context.Context, req *zap.Request) *zap.Reply {
	return zap.Decide(ctx, s.failures, req)
}

func (s source) AuthenticateToken(ctx context.Context, req *zap.Request, is func() bool) (*zap.Reply, bool) {
	return s.failures.AuthenticateToken(ctx, req, is)
}

func (s source) Attempt(ctx context.Context, from netip.Addr) (context.Context, func(zap.Status)) {
	return s.failures.Attempt(ctx, from)
}

func (s source) StillValid(reply *zap.Reply) bool {
	chain := s.state.Load().auth
	return chain != nil && !chain.Revoked(reply) && !chain.Unasked(reply)
}

func (s source) CertificateExpiry() time.Time { return s.options.CertificateExpiry() }

// Readiness implements admin.Source.
func (s source) Readiness() admin.Readiness { return s.parts().Readiness() }

// Gauges implements metrics.Source.
func (s source) Gauges() metrics.Gauges { return s.parts().Gauges() }

func (s source) parts() *admin.Parts {
	now := s.state.Load()
	return &admin.Parts{
		Source: s, Chain: now.auth, Routes: now.sorted(), Failures: s.failures, Closing: s.connections.Closing() != nil,
		Gates: map[string]*accept.Gate{serverListener: s.gate, adminListener: s.adminGate},
	}
}
