package admin

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/conn"
	"github.com/zwsbridge/zwsbridge/bridge/internal/discover"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
)

// Source is what the operators' interface may ask of the bridge. All methods are called
// concurrently.
type Source interface {
	// Config returns the configuration in force.
	Config() *config.Config
	// OIDC returns the provider of admin.oidc; nil without one.
	OIDC() *OIDC
	// Authenticate has the chain judge a login, behind the limits for refused logins.
	Authenticate(ctx context.Context, req *zap.Request) *zap.Reply
	// AuthenticateToken is Authenticate for a token that can also be the operators' own: is
	// compares them, unless the limits forbid a guess. matched reports whether it was
	// right, in which case reply is nil.
	AuthenticateToken(ctx context.Context, req *zap.Request, is func() bool) (reply *zap.Reply, matched bool)
	// Attempt limits a login that the provider of admin.oidc decides on: whoever asks the
	// provider enters the guard of the returned context. done is called with the decision.
	Attempt(ctx context.Context, from netip.Addr) (guarded context.Context, done func(zap.Status))
	// StillValid reports whether a reply of Authenticate still holds: no reload and no
	// change of the users has revoked it.
	StillValid(reply *zap.Reply) bool

	// Refusals lists who was not let in, the newest first; see refusal.Recorder.List.
	Refusals(user, address string) []refusal.Refusal
	// Refused records an operator who is not let in.
	Refused(refusal.Refusal)
	// Readiness returns what is wrong at present.
	Readiness() Readiness
	// CertificateExpiry returns when the TLS certificate of the listener expires; zero = unknown.
	CertificateExpiry() time.Time
	// Connections returns how many WebSocket connections there are.
	Connections() int
	// Predecessor returns how many the process before this one has left, which hands over.
	Predecessor() int
	// MaxConnections returns how many connections there can be: server.max_connections, or what
	// the limit of file descriptors permits. 0 means no limit.
	MaxConnections() int
	// Sessions lists the sessions that are logged in, oldest first.
	Sessions() []Session
	// Backends lists the endpoints of all routes and the inbound backends, without CanDisconnect.
	Backends() []Backend
	// Finders lists what finds endpoints for routes.
	Finders() []Finder
	// Identities looks up a user of a token endpoint, or a UUID; the other is empty. There
	// is at most one for each [auth.NAME] with an identity_map, and none is made. The error is
	// ErrQuery unless exactly one is given.
	Identities(user, id string) ([]Identity, error)
	// Kick ends the session of that number, or every session of that user, with close code
	// 4401. It returns how many there were, and ErrQuery unless exactly one is given.
	Kick(number uint64, user string) (int, error)
	// ReloadFile applies the configuration file again. The error is ErrNoReload if the program
	// does not do so on request.
	ReloadFile(context.Context) (Reloaded, error)
	// Route returns the route at path; nil if there is none.
	Route(path string) *route.Route
	// Archives lists what routes with a history keep, by path.
	Archives() []Archive
}

// Readiness is what is wrong with the bridge, one text for each fault.
type Readiness struct {
	// Unready are the reasons to send no clients here.
	Unready []string `json:"unready,omitempty"`
	// Degraded are those not to send all of them.
	Degraded []string `json:"degraded"`
}

// NewBackend returns what operators see of a connection to a backend; session is 0 if clients share it.
func NewBackend(path string, session uint64, s backend.Status) Backend {
	b := Backend{
		Route: path, Session: session, Position: s.Position, Address: s.Address, User: printable.Name(s.User),
		Source: string(s.Source), State: s.State.String(), Since: s.Since, Reconnects: s.Reconnects,
	}
	if !s.Next.IsZero() {
		b.NextTry = &s.Next
	}
	if s.Err != nil {
		b.Error = s.Err.Error()
	}
	return b
}

// ErrQuery: neither or both of two alternatives were given.
var ErrQuery = errors.New("want one of the two, and not both")

// Session is what operators see of one stream and its login.
type Session = conn.Info

// Backend is what operators see of an endpoint, or of an inbound backend.
type Backend struct {
	Route string `json:"route"`
	// Session is the session whose own connection it is; 0 where clients share it.
	Session  uint64 `json:"session,omitempty"`
	Position int    `json:"backend,omitempty"`
	Address  string `json:"address"`
	// Source is where an endpoint comes from: file, connect_file, srv, dnssd or admin.
	Source string    `json:"source,omitempty"`
	User   string    `json:"user,omitempty"`
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	// Error is why the last attempt failed, or the connection was lost; NextTry is when the
	// next attempt is due.
	Error      string     `json:"error,omitempty"`
	NextTry    *time.Time `json:"next_try,omitempty"`
	Reconnects int        `json:"reconnects"`
	// CanDisconnect is set if operators may disconnect the endpoint from its route. Only the answer to
	// GET /backends has it.
	CanDisconnect bool `json:"can_disconnect,omitempty"`
}

// Finder is what operators see of a source of endpoints.
type Finder struct {
	Route     string    `json:"route"`
	Address   string    `json:"address"` // as in the configuration: srv://_zmtp._tcp.houses.lan
	Source    string    `json:"source"`  // srv, dnssd or connect_file
	Endpoints int       `json:"endpoints"`
	Since     time.Time `json:"since"`             // of the state; zero before it is known
	Error     string    `json:"error,omitempty"`   // why it fails: the last list stays in force
	Ignored   string    `json:"ignored,omitempty"` // what it has found and cannot be used
}

// NewFinder returns what operators see of a source of a route.
func NewFinder(route, kind string, s discover.Status) Finder {
	f := Finder{Route: route, Address: s.Name, Source: kind, Endpoints: s.Endpoints, Since: s.Since, Ignored: s.Ignored}
	if s.Err != nil {
		f.Error = s.Err.Error()
	}
	return f
}

// Identity is a user of a token endpoint, and the UUID by which ZeroMQ peers know that user.
type Identity struct {
	Auth string `json:"auth"` // the name of the [auth.NAME] that keeps it
	User string `json:"user"`
	ID   string `json:"id"`
}
