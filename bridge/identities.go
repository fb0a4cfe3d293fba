package bridge

import (
	"maps"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin"
)

// Identities looks up a user of a token endpoint, or a UUID; the other is empty. There is
// at most one for each [auth.NAME] with an identity_map. None is made by asking.
func (b *Bridge) Identities(user, id string) ([]Identity, error) {
	if (user == "") == (id == "") {
		return nil, admin.ErrQuery
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
