package metrics

import (
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Counts are the counters in the form that the operators' interface serves, since the
// bridge was made.
type Counts struct {
	Since    time.Time
	Routes   map[string]RouteCounts // by path; only routes that were counted
	Refusals []CodeCount            // clients that were refused
	Ends     []CodeCount            // sessions that have ended
	Logins   []LoginCount
	// ReloadFailure is why the last reload has failed; nil if it has not.
	ReloadFailure *ReloadFailure
}

// ReloadFailure is when and why a reload of the configuration has failed.
type ReloadFailure struct {
	Time time.Time
	Err  error
}

// RouteCounts are the counters of one route; in means from clients.
type RouteCounts struct {
	Sessions    uint64 `json:"sessions"`
	MessagesIn  uint64 `json:"messages_in"`
	MessagesOut uint64 `json:"messages_out"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
	Dropped     uint64 `json:"dropped"`
}

// CodeCount counts one close code on one route, which is [NoRoute] where the client asked
// for a route that does not exist.
type CodeCount struct {
	Route  string `json:"route"`
	Code   string `json:"code"`
	Number uint64 `json:"number"`
}

// LoginCount counts one status of one authenticator, whose name is empty where none decided.
type LoginCount struct {
	Authenticator string `json:"authenticator"`
	Status        string `json:"status"`
	Number        uint64 `json:"number"`
}

// Counts returns the present counters. It does not ask the Source, which lists all sessions and backends.
func (m *Metrics) Counts() (*Counts, error) {
	families, err := m.counted.Gather()
	if err != nil {
		return nil, err
	}
	c := &Counts{
		Since:         m.since,
		Routes:        make(map[string]RouteCounts),
		Refusals:      []CodeCount{},
		Ends:          []CodeCount{},
		Logins:        []LoginCount{},
		ReloadFailure: m.reloadFailure.Load(),
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			c.add(family.GetName(), metric)
		}
	}
	return c, nil
}

// add files one metric of Prometheus.
func (c *Counts) add(name string, metric *dto.Metric) {
	label := make(map[string]string)
	for _, l := range metric.GetLabel() {
		label[l.GetName()] = l.GetValue()
	}
	n := uint64(metric.GetCounter().GetValue() + metric.GetGauge().GetValue())
	events := name == "zwsbridge_refusals_total" || name == "zwsbridge_session_ends_total" || name == "zwsbridge_logins_total"
	switch {
	case events && n == 0:
		return // it has not happened
	case name == "zwsbridge_refusals_total":
		c.Refusals = append(c.Refusals, CodeCount{label["route"], label["code"], n})
		return
	case name == "zwsbridge_session_ends_total":
		c.Ends = append(c.Ends, CodeCount{label["route"], label["code"], n})
		return
	case name == "zwsbridge_logins_total":
		c.Logins = append(c.Logins, LoginCount{label["authenticator"], label["status"], n})
		return
	}
	if label["route"] == "" {
		return
	}
	r := c.Routes[label["route"]]
	r.add(name, label["direction"], n)
	c.Routes[label["route"]] = r
}

func (r *RouteCounts) add(name, direction string, n uint64) {
	out := direction == "out"
	switch {
	case name == "zwsbridge_sessions":
		r.Sessions += n // of each dialect
	case name == "zwsbridge_messages_total" && out:
		r.MessagesOut = n
	case name == "zwsbridge_messages_total":
		r.MessagesIn = n
	case name == "zwsbridge_bytes_total" && out:
		r.BytesOut = n
	case name == "zwsbridge_bytes_total":
		r.BytesIn = n
	case name == "zwsbridge_dropped_total":
		r.Dropped += n // for each reason
	}
}
