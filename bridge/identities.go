package bridge

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/config"
)

// Identity is a user of a token endpoint, and the UUID by which ZeroMQ peers know that user.
type Identity struct {
	Auth string `json:"auth"` // the name of the [auth.NAME] that keeps it
	User string `json:"user"`
	ID   string `json:"id"`
}

var errIdentity = errors.New("want user or id, and not both")

// Identities looks up a user of a token endpoint, or a UUID; the other is empty. There is
// at most one for each [auth.NAME] with an identity_map. None is made by asking.
func (b *Bridge) Identities(user, id string) ([]Identity, error) {
	if (user == "") == (id == "") {
		return nil, errIdentity
	}
	found := []Identity{}
	auth := b.state.Load().auth
	if auth == nil {
		return found, nil
	}
	for _, name := range slices.Sorted(maps.Keys(auth.recipes)) {
		s, ok := auth.recipes[name].settings.(*config.TokenEndpoint)
		if !ok || s.IdentityMap == "" {
			continue
		}
		i := Identity{Auth: name, User: user, ID: id}
		var known bool
		var err error
		if user != "" {
			i.ID, known, err = auth.stores[s.Store].LookupID(user)
		} else {
			i.User, known, err = auth.stores[s.Store].LookupUser(id)
		}
		switch {
		case err != nil:
			return nil, err
		case known:
			found = append(found, i)
		}
	}
	return found, nil
}

func (b *Bridge) serveIdentities(w http.ResponseWriter, r *http.Request, _ *operator) {
	found, err := b.Identities(r.FormValue("user"), r.FormValue("id"))
	switch {
	case errors.Is(err, errIdentity):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		writeJSON(w, found)
	}
}
