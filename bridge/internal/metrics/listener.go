package metrics

import "github.com/prometheus/client_golang/prometheus"

// Listener are the counters of one listener, and implements accept.Metrics.
type Listener struct {
	refused         map[string]prometheus.Counter // by reason
	failed, stalled prometheus.Counter
}

// Listener returns the counters of the listener of that name, which refuses connections for
// these reasons.
func (m *Metrics) Listener(name string, reasons []string) *Listener {
	l := &Listener{
		refused: make(map[string]prometheus.Counter),
		failed:  m.acceptErrors.WithLabelValues(name),
		stalled: m.stalled.WithLabelValues(name),
	}
	for _, reason := range reasons {
		l.refused[reason] = m.connectionsRefused.WithLabelValues(name, reason)
	}
	return l
}

// Refused counts a connection that was not served.
func (l *Listener) Refused(reason string) { l.refused[reason].Inc() }

// AcceptFailed counts a connection for which there was no file descriptor.
func (l *Listener) AcceptFailed() { l.failed.Inc() }

// bindListener is the label of all endpoints for inbound backends.
const bindListener = "bind"

// AcceptFailed counts an inbound backend for which there was no file descriptor.
func (r *Route) AcceptFailed() { r.all.acceptErrors.WithLabelValues(bindListener).Inc() }

// Stalled counts a connection that was closed because its client read nothing.
func (l *Listener) Stalled() { l.stalled.Inc() }
