package admin

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/internal/buildinfo"
)

// Summary is what an operator sees of the bridge as a whole. The counts are those of
// /metrics.
type Summary struct {
	// Operator is the name of the operator, and May the strongest tag of that login.
	Operator string `json:"operator"`
	May      string `json:"may"`

	Version        string    `json:"version"`
	Since          time.Time `json:"since"`
	Problems       []Problem `json:"problems"`
	Connections    int       `json:"connections"`
	MaxConnections int       `json:"max_connections"` // 0 = no limit
	// Draining is how many connections the process before this one has left, which hands over.
	Draining  int                  `json:"draining,omitempty"`
	Sessions  SessionCounts        `json:"sessions"`
	Endpoints int                  `json:"endpoints"` // and inbound backends
	Backends  map[string]int       `json:"backends"`  // connections to them by state
	Routes    []RouteSummary       `json:"routes"`
	Refusals  []metrics.CodeCount  `json:"refusals"`
	Ends      []metrics.CodeCount  `json:"ends"`
	Logins    []metrics.LoginCount `json:"logins"`
}

// SessionCounts are what all sessions have together.
type SessionCounts struct {
	Number   int   `json:"number"`
	Users    int   `json:"users"`
	Messages int   `json:"queued_messages"`
	Bytes    int64 `json:"queued_bytes"`
}

func countSessions(list []Session) SessionCounts {
	c := SessionCounts{Number: len(list)}
	users := make(map[string]bool)
	for i := range list {
		users[list[i].User] = true
		c.Messages += list[i].Messages
		c.Bytes += list[i].Bytes
	}
	c.Users = len(users)
	return c
}

// RouteSummary is what an operator sees of a route.
type RouteSummary struct {
	Path   string `json:"path"`
	Socket string `json:"socket"`
	metrics.RouteCounts
	Waiting int `json:"waiting"` // messages that nobody can take at present
	// SubscriptionBytes is what clients, or backends that connect, are subscribed to.
	SubscriptionBytes int64 `json:"subscription_bytes"`
}

func (a *admin) serveSummary(w http.ResponseWriter, _ *http.Request, o *operator) {
	counts, err := a.metrics.Counts()
	if err != nil {
		a.log.Error("gathering the counts failed", "error", err)
		http.Error(w, "gathering the counts failed: see the log", http.StatusInternalServerError)
		return
	}
	c := a.bridge.Config()
	backends := a.backends()
	endpoints := byEndpoint(backends)
	s := Summary{
		Operator:       o.name,
		May:            tagMonitoring,
		Version:        buildinfo.Get().Version,
		Since:          counts.Since,
		Problems:       problems(a.bridge.Readiness(), counts.ReloadFailure, a.bridge.CertificateExpiry(), endpoints),
		Sessions:       countSessions(a.bridge.Sessions()),
		Endpoints:      len(endpoints),
		Backends:       make(map[string]int),
		Connections:    a.bridge.Connections(),
		MaxConnections: a.bridge.MaxConnections(),
		Draining:       a.bridge.Predecessor(),
		Refusals:       counts.Refusals,
		Ends:           counts.Ends,
		Logins:         counts.Logins,
	}
	for i := range backends {
		s.Backends[backends[i].State]++
	}
	if o.may(tagAdministrator) {
		s.May = tagAdministrator
	}
	for i := range c.Routes {
		r := &c.Routes[i]
		summary := RouteSummary{Path: r.Path, Socket: string(r.Socket), RouteCounts: counts.Routes[r.Path]}
		if live := a.bridge.Route(r.Path); live != nil {
			summary.Waiting, summary.SubscriptionBytes = live.Waiting(), live.SubscriptionBytes()
		}
		s.Routes = append(s.Routes, summary)
	}
	slices.SortFunc(s.Routes, func(a, b RouteSummary) int { return cmp.Compare(a.Path, b.Path) })
	writeJSON(w, s)
}
