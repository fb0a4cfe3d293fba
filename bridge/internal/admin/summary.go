package admin

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
)

// Summary is what an operator sees of the bridge as a whole. The counts are those of
// /metrics.
type Summary struct {
	// Operator is the name of the operator, and May the strongest tag of that login.
	Operator string `json:"operator"`
	May      string `json:"may"`

	Since          time.Time            `json:"since"`
	Connections    int                  `json:"connections"`
	MaxConnections int                  `json:"max_connections"` // 0 = no limit
	Routes         []RouteSummary       `json:"routes"`
	Refusals       []metrics.CodeCount  `json:"refusals"`
	Ends           []metrics.CodeCount  `json:"ends"`
	Logins         []metrics.LoginCount `json:"logins"`
}

// RouteSummary is what an operator sees of a route.
type RouteSummary struct {
	Path   string `json:"path"`
	Socket string `json:"socket"`
	metrics.RouteCounts
}

func (a *admin) serveSummary(w http.ResponseWriter, _ *http.Request, o *operator) {
	counts, err := a.metrics.Counts()
	if err != nil {
		a.log.Error("gathering the counts failed", "error", err)
		http.Error(w, "gathering the counts failed: see the log", http.StatusInternalServerError)
		return
	}
	c := a.bridge.Config()
	s := Summary{
		Operator:       o.name,
		May:            tagMonitoring,
		Since:          counts.Since,
		Connections:    a.bridge.Connections(),
		MaxConnections: c.Server.MaxConnections,
		Refusals:       counts.Refusals,
		Ends:           counts.Ends,
		Logins:         counts.Logins,
	}
	if o.may(tagAdministrator) {
		s.May = tagAdministrator
	}
	for i := range c.Routes {
		r := &c.Routes[i]
		s.Routes = append(s.Routes, RouteSummary{r.Path, string(r.Socket), counts.Routes[r.Path]})
	}
	slices.SortFunc(s.Routes, func(a, b RouteSummary) int { return cmp.Compare(a.Path, b.Path) })
	writeJSON(w, s)
}
