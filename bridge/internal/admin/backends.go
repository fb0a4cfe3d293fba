package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// sourceFailed is the state of what finds endpoints and cannot, among the backends.
const sourceFailed = "source failed"

// badness orders the states of backends, the worst last.
var badness = []string{"idle", "ready", "gone", "connecting", "unreachable", "refused", sourceFailed}

// failing reports whether the state of a backend is a problem.
func failing(state string) bool {
	return slices.Index(badness, state) >= slices.Index(badness, "unreachable")
}

// EndpointStatus is what operators see of all connections to one endpoint of a route: of each session
// where these have connections of their own. Its Backend is that of the worst of them; Reconnects are
// those of all.
type EndpointStatus struct {
	Backend
	States map[string]int `json:"states"` // connections by state
}

var backendParameters = []string{"group", "limit"}

// serveBackends answers with one object for each connection, or with ?group=endpoint for each
// endpoint, the worst first.
func (a *admin) serveBackends(w http.ResponseWriter, r *http.Request, _ *operator) {
	list := a.backends()
	group, limit, err := parseBackendQuery(r.URL.Query())
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case group:
		endpoints := byEndpoint(list)
		endpoints = endpoints[:min(limit, len(endpoints))]
		for i := range endpoints {
			a.completeBackend(&endpoints[i].Backend)
		}
		writeJSON(w, endpoints)
	default:
		list = list[:min(limit, len(list))]
		for i := range list {
			a.completeBackend(&list[i])
		}
		writeJSON(w, list)
	}
}

// completeBackend sets CanDisconnect, which takes regular expressions: only of backends that are shown.
func (a *admin) completeBackend(b *Backend) {
	r := a.bridge.Route(b.Route)
	b.CanDisconnect = r != nil && r.CanDisconnect(b.Address)
}

func parseBackendQuery(v url.Values) (group bool, limit int, err error) {
	limit = int(^uint(0) >> 1)
	if text := v.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return false, 0, fmt.Errorf("limit %.60q: want a number from 1", text)
		}
	}
	switch v.Get("group") {
	case "":
	case "endpoint":
		group = true
	default:
		return false, 0, fmt.Errorf("unknown group %.60q (endpoint)", v.Get("group"))
	}
	return group, limit, nil
}

// backends lists the backends, and the sources that fail.
func (a *admin) backends() []Backend {
	list := a.bridge.Backends()
	for _, f := range a.bridge.Finders() {
		if f.Error != "" {
			list = append(list, Backend{Route: f.Route, Address: f.Address, Source: f.Source, State: sourceFailed, Since: f.Since, Error: f.Error})
		}
	}
	return list
}

// byEndpoint groups backends by route and address, those with problems first.
func byEndpoint(list []Backend) []EndpointStatus {
	type key struct{ route, address string }
	groups := make(map[key]int) // index in endpoints
	endpoints := []EndpointStatus{}
	for _, b := range list {
		i, ok := groups[key{b.Route, b.Address}]
		if !ok {
			groups[key{b.Route, b.Address}] = len(endpoints)
			endpoints = append(endpoints, EndpointStatus{Backend: b, States: map[string]int{b.State: 1}})
			continue
		}
		e := &endpoints[i]
		e.States[b.State]++
		reconnects := e.Reconnects + b.Reconnects
		if compareBadness(&b, &e.Backend) > 0 {
			e.Backend = b
		}
		e.Reconnects, e.Session = reconnects, 0
	}
	slices.SortStableFunc(endpoints, func(a, b EndpointStatus) int {
		return cmp.Or(-compareBadness(&a.Backend, &b.Backend), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Position, b.Position), cmp.Compare(a.Address, b.Address))
	})
	return endpoints
}

func compareBadness(a, b *Backend) int {
	return cmp.Compare(slices.Index(badness, a.State), slices.Index(badness, b.State))
}

// connections returns how many connections there are to the endpoint.
func (e *EndpointStatus) connections() (n int) {
	for _, number := range e.States {
		n += number
	}
	return n
}
