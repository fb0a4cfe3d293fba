package conn

import (
	"context"
	"log/slog"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
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

// refused counts and logs a client that was not logged in.
func (s *session) refused(set *Set, err error) {
	set.o.Metrics.Refused(s.route.Path(), zws.Cause(err))
	set.log("client refused", append(s.attributes(nil), slog.String("error", err.Error()))...)
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

// refusedChannel counts and logs a channel that was not opened. rt is nil if the client asked
// for a route that does not exist.
func (s *Set) refusedChannel(c *connection, rt *route.Route, asked string, err error) {
	path := metrics.NoRoute
	if rt != nil {
		path = rt.Path()
	}
	s.o.Metrics.Refused(path, zws.Cause(err))
	s.log("channel refused", append(c.attributes(c.login.Load()),
		slog.String("channel", printable.Text(asked, maxLogged)), slog.String("error", err.Error()))...)
}

// maxLogged bounds what a client has made up in a log line, in bytes.
const maxLogged = 200
