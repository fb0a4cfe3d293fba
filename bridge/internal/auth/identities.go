package auth

import (
	"maps"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
)

// Identity is a user of a token endpoint and the UUID that backends see instead.
type Identity struct {
	Auth string // the name of the [auth.NAME] that keeps it
	User string
	ID   string
}

// Identities looks up a user of a token endpoint, or the UUID id if user is empty. It returns
// at most one Identity for each [auth.NAME] with an identity_map, sorted by that name, and
// creates none.
func (a *Chain) Identities(user, id string) ([]Identity, error) {
	var found []Identity
	for _, name := range slices.Sorted(maps.Keys(a.authenticators)) {
		store := a.stores[a.authenticators[name].store]
		if store == nil {
			continue
		}
		i := Identity{Auth: name, User: user, ID: id}
		var known bool
		var err error
		if user != "" {
			i.ID, known, err = store.LookupID(user)
		} else {
			i.User, known, err = store.LookupUser(id)
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

// openStore opens an identity store, once for all authenticators that name it. One that
// previous has open is taken over: a second opening would fail.
func (a *Chain) openStore(file config.Path, previous *Chain) (*tokenendpoint.Identities, error) {
	for _, c := range []*Chain{a, previous} {
		if s := c.stores[file]; s != nil {
			a.stores[file] = s
			return s, nil
		}
	}
	s, err := tokenendpoint.OpenIdentities(string(file))
	if err == nil {
		a.stores[file] = s
	}
	return s, err
}
