package conn

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zws"
)

// session is what logs, metrics and operators call a session: a stream with its login. A
// multiplexed connection counts as one more, so that it can be seen and ended as a whole.
type session struct {
	number uint64
	route  *route.Route // that the client asked for
	from   clientaddr.Client
	since  time.Time
}

// attributes identify the session in the log; l is nil before the login.
func (s *session) attributes(l *zws.Login) []slog.Attr {
	attrs := []slog.Attr{
		slog.Uint64("session", s.number),
		slog.String("route", s.route.Path()),
		slog.String("address", s.from.String()),
	}
	if l != nil {
		attrs = append(attrs, slog.String("user", l.User()), slog.String("dialect", l.Dialect))
	}
	return attrs
}

// refused counts and records a client that was not logged in.
func (s *session) refused(set *Set, a *zws.Attempt, err error) {
	set.o.Metrics.Refused(s.route.Path(), zws.Cause(err))
	f := refusal.Because(refusal.Client, err)
	f.User, f.Address, f.Route = refusal.Claimed(a.Mechanism, a.Credentials), s.from.String(), s.route.Path()
	f.Mechanism, f.Dialect = string(a.Mechanism), a.Dialect
	set.o.Refusals.Add(f)
}

// renewalRefused records that the login of a connection was not renewed.
func (c *connection) renewalRefused(l *zws.Login, cause *zws.CloseError) {
	f := refusal.Because(refusal.Renewal, cause)
	f.User, f.Address, f.Route = c.user(), c.from.String(), c.route.Path()
	f.Mechanism, f.Dialect = string(l.Mechanism), l.Dialect
	if claimed := refusal.Claimed(l.Mechanism, l.Credentials); claimed != "" && claimed != f.User {
		f.Error = strings.TrimPrefix(f.Error+"; the token names "+printable.Name(claimed), "; ")
	}
	c.set.o.Refusals.Add(f)
}

// started counts and logs a session whose client was sent READY.
func (s *session) started(set *Set, message string, l *zws.Login) {
	s.route.Metrics().Started(l.Dialect, time.Since(s.since))
	set.log(message, s.attributes(l)...)
}

// ended counts and logs the end of a session that was started.
func (s *session) ended(set *Set, l *zws.Login, cause *zws.CloseError, dropped uint64) {
	s.route.Metrics().Ended(l.Dialect, cause)
	set.log("session ended", append(s.attributes(l),
		slog.Int("code", int(cause.Code)),
		slog.String("reason", cause.Reason),
		slog.Duration("lasted", time.Since(s.since).Round(time.Millisecond)),
		slog.Uint64("dropped", dropped))...)
}

func (s *Set) log(message string, attrs ...slog.Attr) {
	s.o.Log.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
}

// refusedChannel counts and records a channel that was not opened. rt is nil if the client asked
// for a route that does not exist.
func (s *Set) refusedChannel(c *connection, rt *route.Route, asked string, err error) {
	path := metrics.NoRoute
	if rt != nil {
		path = rt.Path()
	}
	s.o.Metrics.Refused(path, zws.Cause(err))
	l := c.login.Load()
	f := refusal.Because(refusal.Channel, err)
	f.User, f.Address, f.Route, f.NoRoute = l.User(), c.from.String(), asked, rt == nil
	f.Mechanism, f.Dialect = string(l.Mechanism), l.Dialect
	s.o.Refusals.Add(f)
}
