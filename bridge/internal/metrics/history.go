package metrics

import "github.com/prometheus/client_golang/prometheus"

// history are the counters of routes with a history.
type history struct {
	resumes        *prometheus.CounterVec // route, outcome
	replayed       *prometheus.CounterVec // route
	queueTakeovers *prometheus.CounterVec // route
	queuesInUse    *prometheus.CounterVec // route
}

func newHistory(counter func(name, help string, labels ...string) *prometheus.CounterVec) history {
	return history{
		resumes: counter("zwsbridge_resumes_total", "Clients that have resumed, by outcome: recovered, "+
			"gap = nothing that was kept is missing, but a backend was away or the bridge was restarted, not-recovered.", "route", "outcome"),
		replayed: counter("zwsbridge_replayed_messages_total", "Messages given to clients from the history, last values included.", "route"),
		queueTakeovers: counter("zwsbridge_queue_takeovers_total",
			"Permanent queues that a newer connection of their user has taken over.", "route"),
		queuesInUse: counter("zwsbridge_queues_in_use_total",
			"Clients that were served without their user's permanent queue, since another connection has it.", "route"),
	}
}

func (h *history) all() []prometheus.Collector {
	return []prometheus.Collector{h.resumes, h.replayed, h.queueTakeovers, h.queuesInUse}
}

// KeepsHistory makes the counters of the history of the route appear, with zero.
func (r *Route) KeepsHistory() {
	h := &r.all.history
	for _, outcome := range []string{"recovered", "gap", "not-recovered"} {
		h.resumes.WithLabelValues(r.path, outcome)
	}
	for _, c := range []*prometheus.CounterVec{h.replayed, h.queueTakeovers, h.queuesInUse} {
		c.WithLabelValues(r.path)
	}
}

// Resumed counts a client that has resumed, and was told so.
func (r *Route) Resumed(recovered, gap bool) {
	outcome := "recovered"
	switch {
	case !recovered:
		outcome = "not-recovered"
	case gap:
		outcome = "gap"
	}
	r.all.history.resumes.WithLabelValues(r.path, outcome).Inc()
}

// Replayed counts messages that were given to a client from the history.
func (r *Route) Replayed(messages int) {
	r.all.history.replayed.WithLabelValues(r.path).Add(float64(messages))
}

// QueueTaken counts a permanent queue that a newer connection has taken over.
func (r *Route) QueueTaken() { r.all.history.queueTakeovers.WithLabelValues(r.path).Inc() }

// QueueInUse counts a client that was served without its user's queue.
func (r *Route) QueueInUse() { r.all.history.queuesInUse.WithLabelValues(r.path).Inc() }
