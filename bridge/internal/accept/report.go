package accept

import "log/slog"

// refused counts and records a connection that is beyond a limit.
func (g *Gate) refused(c *Conn, reason Reason) {
	g.o.Metrics.Refused(string(reason))
	g.record(c, reason)
}

// record records a connection that was refused.
func (g *Gate) record(c *Conn, reason Reason) {
	g.mu.Lock()
	from := c.from
	g.mu.Unlock()
	g.o.Refused(from, reason)
}

// failed counts and logs that a connection could not be accepted because the process or the
// system has no file descriptor left.
func (g *Gate) failed(err error) {
	g.o.Metrics.AcceptFailed()
	g.mu.Lock()
	open := g.within + g.spare
	g.mu.Unlock()
	g.o.Log.Error("connections cannot be accepted: no file descriptor is left", slog.String("listener", g.o.Name),
		slog.Int("open", open), slog.String("error", err.Error()))
}
