package admin

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
)

// endpoint is the body of POST /routes/connect and /routes/disconnect. ServerKey is for connect
// with CURVE; without it the key of the route counts.
type endpoint struct {
	Route     string          `json:"route"`
	Endpoint  string          `json:"endpoint"`
	ServerKey config.CurveKey `json:"server_key"`
}

func (a *admin) serveConnect(w http.ResponseWriter, r *http.Request, o *operator) {
	a.changeEndpoint(w, r, o, "connected", func(rt *route.Route, e *endpoint) (bool, error) {
		return rt.Connect(e.Endpoint, e.ServerKey)
	})
}

func (a *admin) serveDisconnect(w http.ResponseWriter, r *http.Request, o *operator) {
	a.changeEndpoint(w, r, o, "disconnected", func(rt *route.Route, e *endpoint) (bool, error) {
		return rt.Disconnect(e.Endpoint)
	})
}

// changeEndpoint answers a request that changes the endpoints of a route. done is what change
// does, in the log and in the answer.
func (a *admin) changeEndpoint(w http.ResponseWriter, r *http.Request, o *operator, done string, change func(*route.Route, *endpoint) (bool, error)) {
	var e endpoint
	if !readBody(w, r, &e, `want {"route": "/path", "endpoint": "tcp://name:port"}`) {
		return
	}
	rt := a.bridge.Route(e.Route)
	if rt == nil {
		http.Error(w, fmt.Sprintf("no route has the path %q: see /summary", e.Route), http.StatusNotFound)
		return
	}
	changed, err := change(rt, &e)
	switch {
	case errors.Is(err, route.ErrNotListed):
		http.Error(w, fmt.Sprintf("endpoint %q of route %s: %v", e.Endpoint, e.Route, err), http.StatusForbidden)
		return
	case errors.Is(err, route.ErrNotAnswered):
		http.Error(w, fmt.Sprintf("endpoint %q of route %s: %v", e.Endpoint, e.Route, err), http.StatusServiceUnavailable)
		return
	case err != nil:
		http.Error(w, fmt.Sprintf("endpoint %q of route %s: %v", e.Endpoint, e.Route, err), http.StatusBadRequest)
		return
	}
	a.log.Info("endpoint "+done, "by", o.name, "route", e.Route, "endpoint", e.Endpoint, "changed", changed)
	writeJSON(w, map[string]bool{done: changed})
}
