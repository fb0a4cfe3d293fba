package bridge

import (
	"github.com/prometheus/client_golang/prometheus"
)

// gauges is what Prometheus is told of the present: it is looked up when asked for, so that
// no message has to be counted for it twice.
type gauges struct{ bridge *Bridge }

var (
	connectionsGauge = prometheus.NewDesc("zwsbridge_connections",
		"WebSocket connections, those that are logging in included.", nil, nil)
	queuedMessagesGauge = prometheus.NewDesc("zwsbridge_queued_messages",
		"Messages that wait to be written to clients.", []string{"route"}, nil)
	queuedOctetsGauge = prometheus.NewDesc("zwsbridge_queued_octets",
		"Octets that wait to be written to clients.", []string{"route"}, nil)
	backendsGauge = prometheus.NewDesc("zwsbridge_backends",
		"Connections to backends, and peers that have dialled in, by state.", []string{"route", "state"}, nil)
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connectionsGauge, queuedMessagesGauge, queuedOctetsGauge, backendsGauge} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(connectionsGauge, float64(g.bridge.connections.open()))

	type depth struct{ messages, octets float64 }
	queued := make(map[string]depth)
	for path := range g.bridge.state.Load().routes {
		queued[path] = depth{}
	}
	for _, s := range g.bridge.Sessions() {
		d := queued[s.Route]
		queued[s.Route] = depth{d.messages + float64(s.Messages), d.octets + float64(s.Octets)}
	}
	for path, d := range queued {
		gauge(queuedMessagesGauge, d.messages, path)
		gauge(queuedOctetsGauge, d.octets, path)
	}

	type place struct{ route, state string }
	backends := make(map[place]int)
	for _, s := range g.bridge.Backends() {
		backends[place{s.Route, s.State}]++
	}
	for p, n := range backends {
		gauge(backendsGauge, float64(n), p.route, p.state)
	}
}
