package admin

import (
	"fmt"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/accept"
	"github.com/zwsbridge/zwsbridge/bridge/internal/auth"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
)

// Parts are those of a bridge that its readiness and its gauges depend on.
type Parts struct {
	Source
	Chain    *auth.Chain    // nil once the bridge is closed
	Routes   []*route.Route // by path
	Failures *auth.Failures
	Closing  bool // no client is accepted
	Gates    map[string]*accept.Gate
}

// Readiness reports what is wrong with the bridge. Unready: it is shutting down, no authenticator
// can judge logins, or a route of admin.ready_needs has no backend. Everything else makes it degraded:
// a part of the clients cannot be served, or soon none can.
func (p *Parts) Readiness() (r Readiness) {
	if p.Closing {
		r.Unready = append(r.Unready, "shutting down")
		if n := p.Connections(); n > 0 {
			r.Unready = append(r.Unready, fmt.Sprintf("draining: %d connections left", n))
		}
	}
	why, all := p.Chain.Unable()
	r.Degraded = append(r.Degraded, why...)
	if all {
		r.Unready = append(r.Unready, "no login can be judged")
	}
	for _, route := range p.Routes {
		fault := "backend missing: " + route.Path()
		if route.Backendless() && slices.Contains(p.Config().Admin.ReadyNeeds, route.Path()) {
			r.Unready = append(r.Unready, fault)
		} else if route.Unready() {
			r.Degraded = append(r.Degraded, fault)
		}
	}
	for _, f := range p.Finders() {
		if f.Error != "" {
			r.Degraded = append(r.Degraded, "source failed: "+f.Route+" "+f.Address)
		}
	}
	for _, a := range p.Archives() {
		if err := a.Log.State().Err; err != nil {
			r.Degraded = append(r.Degraded, "history not stored: "+a.Path)
		}
		if a.Differs() != nil {
			r.Degraded = append(r.Degraded, "history configured differently: "+a.Path)
		}
		if a.Queues.Failed() {
			r.Degraded = append(r.Degraded, "queues not stored: "+a.Path)
		}
	}
	if p.Chain.Backlog() > p.Config().Zap.Timeout/2 || p.Failures.QueueFull() {
		r.Degraded = append(r.Degraded, "login queue over half full")
	}
	return r
}

// Gauges returns what is looked up for each scrape of the metrics.
func (p *Parts) Gauges() metrics.Gauges {
	g := metrics.Gauges{
		Connections: p.Connections(),
		Listeners:   make(map[string]metrics.Open),
		Queues:      make(map[string]metrics.Queue),
		Backends:    make(map[metrics.BackendState]int),
		Waiting:     make(map[string]int),
		Subscribed:  make(map[string]int64),
		UserFiles:   make(map[string]bool),
		History:     make(map[string]metrics.History),
		Finders:     make(map[metrics.Finder]metrics.Found),
	}
	for name, gate := range p.Gates {
		now, most := gate.Open()
		g.Listeners[name] = metrics.Open{Now: now, Most: most}
	}
	g.CertificateExpiry = p.CertificateExpiry()
	limits := p.Failures.Stats()
	g.Logins = metrics.Logins{Tracked: limits.Tracked, Blocked: limits.Blocked, Known: limits.Known, Waiting: limits.Waiting}
	for name, err := range p.Chain.Files() {
		g.UserFiles[name] = err == nil
	}
	for _, r := range p.Routes {
		path := r.Path()
		g.Queues[path] = metrics.Queue{}
		g.Waiting[path] = r.Waiting()
		g.Subscribed[path] = r.SubscriptionBytes()
	}
	for _, session := range p.Sessions() {
		q := g.Queues[session.Route]
		g.Queues[session.Route] = metrics.Queue{Messages: q.Messages + session.Messages, Bytes: q.Bytes + session.Bytes}
	}
	for _, a := range p.Archives() {
		stats := a.Log.Stats()
		g.History[a.Path] = metrics.History{Messages: stats.Messages, Bytes: stats.Bytes, Queues: a.Queues.Len(), Leads: a.Leading()}
	}
	for _, f := range p.Finders() {
		g.Finders[metrics.Finder{Route: f.Route, Name: f.Address}] = metrics.Found{Works: f.Error == "", Endpoints: f.Endpoints}
	}
	for _, b := range p.Backends() {
		g.Backends[metrics.BackendState{Route: b.Route, State: b.State}]++
	}
	return g
}
