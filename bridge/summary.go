package bridge

import (
	"maps"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Summary is what an operator sees of the bridge as a whole. The counts are those of
// /metrics, since the bridge was made.
type Summary struct {
	// Operator is who asks, and May the strongest tag of that login.
	Operator string `json:"operator"`
	May      string `json:"may"`

	Since          time.Time      `json:"since"`
	Connections    int            `json:"connections"`
	MaxConnections int            `json:"max_connections"` // 0 = no limit
	Routes         []RouteSummary `json:"routes"`
	// Refusals are clients that were not let in, Ends sessions that were over.
	Refusals []CodeCount  `json:"refusals"`
	Ends     []CodeCount  `json:"ends"`
	Logins   []LoginCount `json:"logins"`
}

// RouteSummary is what an operator sees of a route: in is what comes from clients.
type RouteSummary struct {
	Path        string `json:"path"`
	Socket      string `json:"socket"`
	Sessions    uint64 `json:"sessions"`
	MessagesIn  uint64 `json:"messages_in"`
	MessagesOut uint64 `json:"messages_out"`
	OctetsIn    uint64 `json:"octets_in"`
	OctetsOut   uint64 `json:"octets_out"`
	Dropped     uint64 `json:"dropped"`
}

// CodeCount counts one close code on one route; route is "none" where no route was asked
// for that there is.
type CodeCount struct {
	Route  string `json:"route"`
	Code   string `json:"code"`
	Number uint64 `json:"number"`
}

// LoginCount counts one status of one authenticator; its name is empty where none decided.
type LoginCount struct {
	Authenticator string `json:"authenticator"`
	Status        string `json:"status"`
	Number        uint64 `json:"number"`
}

// serveSummary tells the counts in a form that is easy to read for a page.
func (b *Bridge) serveSummary(w http.ResponseWriter, _ *http.Request, o *operator) {
	s, err := b.summary()
	if err != nil {
		b.log.Error("counts cannot be gathered", "error", err)
		http.Error(w, "the counts cannot be gathered: see the log", http.StatusInternalServerError)
		return
	}
	s.Operator, s.May = o.name, tagMonitoring
	if o.may(tagAdministrator) {
		s.May = tagAdministrator
	}
	writeJSON(w, s)
}

func (b *Bridge) summary() (*Summary, error) {
	families, err := b.metrics.registry.Gather()
	if err != nil {
		return nil, err
	}
	state := b.state.Load()
	s := &Summary{
		Since:          b.metrics.since,
		Connections:    b.connections.open(),
		MaxConnections: state.config.Server.MaxConnections,
		Refusals:       []CodeCount{},
		Ends:           []CodeCount{},
		Logins:         []LoginCount{},
	}
	routes := make(map[string]*RouteSummary)
	for _, r := range state.sorted() {
		routes[r.config.Path] = &RouteSummary{Path: r.config.Path, Socket: string(r.config.Socket)}
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			s.count(family.GetName(), m, routes)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(routes)) {
		s.Routes = append(s.Routes, *routes[path])
	}
	return s, nil
}

// count puts one counter of Prometheus where it belongs.
func (s *Summary) count(name string, m *dto.Metric, routes map[string]*RouteSummary) {
	label := make(map[string]string)
	for _, l := range m.GetLabel() {
		label[l.GetName()] = l.GetValue()
	}
	n := uint64(m.GetCounter().GetValue() + m.GetGauge().GetValue())
	switch name {
	case "zwsbridge_refusals_total":
		s.Refusals = append(s.Refusals, CodeCount{label["route"], label["code"], n})
	case "zwsbridge_session_ends_total":
		s.Ends = append(s.Ends, CodeCount{label["route"], label["code"], n})
	case "zwsbridge_logins_total":
		s.Logins = append(s.Logins, LoginCount{label["authenticator"], label["status"], n})
	}
	r := routes[label["route"]]
	if r == nil { // a route that is gone, or a count of none
		return
	}
	out := label["direction"] == "out"
	switch {
	case name == "zwsbridge_sessions":
		r.Sessions += n // of each dialect
	case name == "zwsbridge_messages_total" && out:
		r.MessagesOut = n
	case name == "zwsbridge_messages_total":
		r.MessagesIn = n
	case name == "zwsbridge_octets_total" && out:
		r.OctetsOut = n
	case name == "zwsbridge_octets_total":
		r.OctetsIn = n
	case name == "zwsbridge_dropped_total":
		r.Dropped += n // for each reason
	}
}
