package route

import (
	"context"
	"log/slog"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
)

// backendChanged counts and logs a change of a backend's state: a warning for what goes
// wrong, a note when it is over. An attempt to connect again still has the last error.
func (r *Route) backendChanged(s backend.Status) {
	r.metrics.Backend(s)
	r.users.changed(s)
	if r.keeping.Load() && s.State == backend.Connected && s.Reconnects > 0 {
		r.archive.gap(s.Address + " was away")
	}
	level := slog.LevelDebug
	switch {
	case s.Err != nil && s.State != backend.Connecting:
		level = slog.LevelWarn
	case s.State == backend.Connected && s.Reconnects > 0:
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{slog.String("state", s.State.String()), slog.String("endpoint", s.Address)}
	if s.Position > 0 {
		attrs = append(attrs, slog.Int("backend", s.Position))
	}
	if s.User != "" {
		attrs = append(attrs, slog.String("user", s.User))
	}
	if s.Err != nil {
		attrs = append(attrs, slog.String("error", s.Err.Error()))
	}
	r.log.LogAttrs(context.Background(), level, "backend", attrs...)
}
