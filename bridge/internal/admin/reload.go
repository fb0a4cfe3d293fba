package admin

import (
	"context"
	"errors"
	"net/http"
)

// Reloaded is what a reload of the configuration file has changed.
type Reloaded struct {
	// Changed are the keys that differ from those before.
	Changed []string `json:"changed"`
	// NeedRestart are the keys that differ from those at the start and take effect after a
	// restart only.
	NeedRestart []string `json:"need_restart"`
}

// ErrNoReload: the program that serves the interface does not reload on request.
var ErrNoReload = errors.New("this program does not reload its configuration on request")

func (a *admin) serveReload(w http.ResponseWriter, r *http.Request, o *operator) {
	if !readBody(w, r, new(struct{}), "want {}") {
		return
	}
	a.log.Info("reload requested", "by", o.name)
	done, err := a.bridge.ReloadFile(r.Context())
	switch {
	case errors.Is(err, ErrNoReload):
		http.Error(w, err.Error(), http.StatusNotImplemented)
	case err != nil:
		http.Error(w, "not reloaded, the current configuration stays in use: "+err.Error(), http.StatusUnprocessableEntity)
	default:
		done.Changed = append([]string{}, done.Changed...) // [] instead of null
		done.NeedRestart = append([]string{}, done.NeedRestart...)
		writeJSON(w, done)
	}
}

// socketKey is the key of the mark of a request that came by a socket of [OnSocket].
type socketKey struct{}

// socketOperator is an operator at a listener of [OnSocket] who has not logged in.
var socketOperator = &operator{name: "admin.socket", tags: []string{tagAdministrator}}

// OnSocket returns h, made by New, for a listener that only administrators can connect to: they
// need no login, and every Host is answered.
func OnSocket(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), socketKey{}, true)))
	})
}

// onSocket reports whether a request came by a listener of [OnSocket].
func onSocket(r *http.Request) bool { return r.Context().Value(socketKey{}) != nil }
