package bridge

import (
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin"
)

// Identities looks up a user of a token endpoint, or a UUID; the other is empty. It returns
// at most one Identity for each [auth.NAME] with an identity_map, and creates none.
func (b *Bridge) Identities(user, id string) ([]Identity, error) {
	if (user == "") == (id == "") {
		return nil, admin.ErrQuery
	}
	list := []Identity{}
	chain := b.state.Load().auth
	if chain == nil { // closed
		return list, nil
	}
	found, err := chain.Identities(user, id)
	for _, i := range found {
		list = append(list, Identity(i))
	}
	return list, err
}
