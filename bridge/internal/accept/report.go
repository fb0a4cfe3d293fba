package accept

import (
	"log/slog"
	"time"
)

// reportInterval is the least time between two log lines about the same.
const reportInterval = time.Minute

// report limits how often something is logged.
type report struct {
	last   time.Time
	number int // since the last line
}

// due counts one more and returns how many there were since the last line, or 0 if it is too
// early for another.
func (r *report) due() int {
	r.number++
	now := time.Now()
	if !r.last.IsZero() && now.Sub(r.last) < reportInterval {
		return 0
	}
	n := r.number
	r.last, r.number = now, 0
	return n
}

// refused counts and logs a connection that is beyond a limit.
func (g *Gate) refused(c *Conn, reason Reason) {
	g.o.Metrics.Refused(string(reason))
	g.mu.Lock()
	r := g.refusals[reason]
	if r == nil {
		r = new(report)
		g.refusals[reason] = r
	}
	n := r.due()
	open, limit := g.within, g.limits.Max()
	if reason == Address {
		limit = g.limits.PerAddress
	}
	address := c.network
	g.mu.Unlock()
	if n == 0 {
		return
	}
	attrs := []any{"listener", g.o.Name, "reason", string(reason), "number", n, "open", open, "limit", limit}
	if address.IsValid() {
		attrs = append(attrs, "last", address.String())
	}
	g.o.Log.Warn("connections refused: too many are open", attrs...)
}

// failed counts and logs that a connection could not be accepted because the process or the
// system has no file descriptor left.
func (g *Gate) failed(err error) {
	g.o.Metrics.AcceptFailed()
	g.mu.Lock()
	n := g.failures.due()
	open := g.within + g.spare
	g.mu.Unlock()
	if n > 0 {
		g.o.Log.Error("connections cannot be accepted: no file descriptor is left", slog.String("listener", g.o.Name),
			slog.Int("number", n), slog.Int("open", open), slog.String("error", err.Error()))
	}
}
