package route

import (
	"context"
	"log/slog"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
)

// backendChanged counts a change of a backend's state and logs it: a warning when it begins to
// fail, a note when that is over. Everything else is for debugging, the further attempts too.
func (r *Route) backendChanged(s backend.Status) {
	r.metrics.Backend(s)
	r.users.changed(s)
	r.recordGap(s)
	where := "endpoint"
	if r.listens && s.Position == 0 {
		where = "address" // a peer's: many, so log.repeat does not take each for a fault of its own
	}
	attrs := []slog.Attr{slog.String("state", s.State.String()), slog.String(where, s.Address)}
	if s.Position > 0 {
		attrs = append(attrs, slog.Int("backend", s.Position))
	}
	if s.User != "" {
		attrs = append(attrs, slog.String("user", s.User))
	}
	if s.Err != nil {
		attrs = append(attrs, slog.String("error", s.Err.Error()))
		if check := backend.Check(s.Err); check != "" {
			attrs = append(attrs, slog.String("check", check))
		}
	}
	r.log.LogAttrs(context.Background(), r.failing.level(s), "backend", attrs...)
}

// recordGap records in the history that a backend was away.
func (r *Route) recordGap(s backend.Status) {
	switch {
	case r.archive == nil:
	case r.listens && s.Position == 0: // also before Keep: the backend has left the route that this one replaces
		if r.archive.returning.gap(s) {
			r.archive.gap(s.Address + " was away")
		}
	case r.keeping.Load() && s.State == backend.Connected && s.Reconnects > 0:
		r.archive.gap(s.Address + " was away")
	}
}

// maxFailing limits the endpoints that are known to fail: clients can have endpoints of their own.
const maxFailing = 10_000

// failing are the endpoints that fail, so that each attempt to connect to one is not another
// warning.
type failing struct {
	mu     sync.Mutex
	states map[string]backend.State // by address
}

// level returns at which level a change is logged.
func (f *failing) level(s backend.Status) slog.Level {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, failing := f.states[s.Address]
	switch {
	case s.State == backend.Connected:
		delete(f.states, s.Address)
		if failing || s.Reconnects > 0 {
			return slog.LevelInfo
		}
	case s.State == backend.Gone:
		delete(f.states, s.Address)
		if s.Err != nil {
			return slog.LevelWarn
		}
	case s.Err != nil && s.State != backend.Connecting && (!failing || before != s.State):
		if f.states == nil {
			f.states = make(map[string]backend.State)
		}
		if failing || len(f.states) < maxFailing {
			f.states[s.Address] = s.State
		}
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
