package conn

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/accept"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
	"github.com/zwsbridge/zwsbridge/bridge/internal/quota"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// Options are what a [Set] needs. All are required except Poller and Cost.
type Options struct {
	Log     *slog.Logger
	Metrics *metrics.Metrics
	// Refusals records the clients, channels and renewals that are refused.
	Refusals *refusal.Recorder
	// Poller watches idle connections, so that they cost no goroutine; nil on systems
	// without one.
	Poller *zws.Poller
	// Route returns the route that is in force at path; nil if there is none.
	Route func(path string) *route.Route
	// Logins judges the logins that live connections were accepted with.
	Logins Logins
	// Cost returns how long a bridge needs to judge such a login; nil means no time. What ends connections
	// spreads their clients by it. again is set if that bridge has judged another login of the user by then.
	Cost func(l *zws.Login, again bool) time.Duration
}

// Logins reports which earlier logins do not hold any more.
type Logins interface {
	// Revoked reports whether the login would be refused now.
	Revoked(*zap.Reply) bool
	// Unasked reports whether an authenticator or authorizer has a say now that was not
	// asked when the login was judged.
	Unasked(*zap.Reply) bool
}

// Set are the connections of a bridge. All methods may be called concurrently.
type Set struct {
	Limiter
	subscriptions quota.Counter // of each user on all routes

	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc

	maxBytes atomic.Int64 // see SetMaxBytes

	mu          sync.Mutex
	connections map[*connection]bool // from the login on, so that operators see each client that was sent READY
	number      uint64               // of the last session; starts at random, so that bridges do not share numbers
	turns       turns
	running     sync.WaitGroup
}

// NewSet returns an empty set. The caller closes it.
func NewSet(o Options) *Set {
	s := &Set{o: o, connections: make(map[*connection]bool), number: rand.Uint64N(1<<32) << 20}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// SetSubscriptionBytes sets what the subscriptions of one user, or of the anonymous clients of
// one network, can count on all connections together, in bytes. Subscriptions beyond a new
// limit stay.
func (s *Set) SetSubscriptionBytes(n int64) { s.subscriptions.SetLimits(n, quota.NoLimit) }

// Serve logs a client in on a route and serves its connection, which it has been admitted for
// (Limiter.Enter). o are the route's options with what the request adds to them. Serve
// returns when the client is logged in, or was told why it is not.
func (s *Set) Serve(w http.ResponseWriter, r *http.Request, rt *route.Route, from clientaddr.Client, o zws.Options) {
	s.running.Add(1)
	session := session{number: s.next(), route: rt, from: from, since: time.Now()}
	o.Poller = s.o.Poller
	o.Multiplex = true
	o.Attempt = new(zws.Attempt)
	pending, err := zws.Accept(s.ctx, w, r, o)
	if err == nil {
		c := s.newConnection(session, o.Domain, pending.Login())
		accept.Keep(r.Context()) // before READY
		if err = c.serve(pending); err == nil {
			return // the end of the connection leaves
		}
		c.stop()
	}
	session.refused(s, o.Attempt, err)
	s.leave(from)
}

// leave gives back what Serve has taken for a connection.
func (s *Set) leave(from clientaddr.Client) {
	s.Limiter.leave(from.Address)
	s.running.Done()
}

// next returns a number for a session.
func (s *Set) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return s.number
}

// all returns the connections whose login was accepted.
func (s *Set) all() []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*connection, 0, len(s.connections))
	for c := range s.connections {
		list = append(list, c)
	}
	return list
}

// ErrShutdown is why Close ends connections.
var ErrShutdown = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "the bridge is shutting down: try again later"}

// errKicked is why Kick ends sessions.
var errKicked = &zws.CloseError{Code: zws.CodeExpired, Reason: "an administrator has ended this session"}

// Kick ends the session with that number, or if user is not empty every session of that
// user, with 4401. It returns how many there were. user is a name or its form in [Info].
func (s *Set) Kick(number uint64, user string) int {
	kicked := 0
	name := printable.ParseName(user)
	for _, c := range s.all() {
		for _, e := range c.sessions() {
			if user == "" && e.id().number == number || user != "" && c.user() == name {
				kicked++
				e.end(errKicked)
			}
		}
	}
	return kicked
}

// Closing returns why no connection is accepted: ErrShutdown once Close was called, ErrReplaced while
// the bridge drains; nil if they are.
func (s *Set) Closing() error {
	if s.ctx.Err() != nil {
		return ErrShutdown
	}
	if cause := s.turns.draining.Load(); cause != nil {
		return cause
	}
	return nil
}

// Close ends all connections with ErrShutdown, with the advice to come back one after the other, and waits
// for them until ctx is done; then it returns ctx's error. What is queued for clients is written, if that
// takes no longer than closeGrace.
func (s *Set) Close(ctx context.Context) error {
	s.cancel(ErrShutdown)
	s.endAll(ctx, s.all(), ErrShutdown, closeGrace)
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("connections were left open"), ctx.Err())
	}
}
