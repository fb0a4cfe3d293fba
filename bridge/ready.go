package bridge

import (
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/admin"
)

// Readiness reports what is wrong with the bridge. Unready: it is shutting down, no authenticator
// can judge logins, or a route of admin.ready_needs has no backend. Everything else makes it degraded:
// a part of the clients cannot be served, or soon none can.
func (s source) Readiness() (r admin.Readiness) {
	st := s.state.Load()
	if s.connections.Closing() != nil {
		r.Unready = append(r.Unready, "shutting down")
	}
	why, all := st.auth.Unable()
	r.Degraded = append(r.Degraded, why...)
	if all {
		r.Unready = append(r.Unready, "no login can be judged")
	}
	for _, route := range st.sorted() {
		fault := "backend missing: " + route.Path()
		if route.Backendless() && slices.Contains(st.config.Admin.ReadyNeeds, route.Path()) {
			r.Unready = append(r.Unready, fault)
		} else if route.Unready() {
			r.Degraded = append(r.Degraded, fault)
		}
	}
	for _, f := range s.Finders() {
		if f.Error != "" {
			r.Degraded = append(r.Degraded, "source failed: "+f.Route+" "+f.Address)
		}
	}
	for _, a := range s.Archives() {
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
	if st.auth.Backlog() > st.config.Zap.Timeout/2 || s.failures.QueueFull() {
		r.Degraded = append(r.Degraded, "login queue over half full")
	}
	return r
}
