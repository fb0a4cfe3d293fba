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
func (a *Chain) Identities(user, id string) (found []Identity, err error) {
	if a == nil {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(a.authenticators)) {
		store := a.stores[a.authenticators[name].store]
		if store == nil {
			continue
		}
		i := Identity{Auth: name, User: user, ID: id}
		var known bool
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
func (a *Chain) openStore(file config.Path, previous *Chain, exclusive func() error) (*tokenendpoint.Identities, error) {
	for _, c := range []*Chain{a, previous} {
		if s := c.stores[file]; s != nil && !c.released.Load() {
			a.stores[file] = s
			return s, nil
		}
	}
	if exclusive != nil {
		if err := exclusive(); err != nil {
			return nil, err
		}
	}
	s, err := tokenendpoint.OpenIdentities(string(file))
	if err == nil {
		a.stores[file] = s
	}
	return s, err
}

// Release closes the identity stores, so that another process can open them. Logins that need them
// cannot be judged until a chain is made after this one.
func (a *Chain) Release() {
	if a == nil {
		return
	}
	a.released.Store(true)
	for _, store := range a.stores {
		_ = store.Close()
	}
}
