package zap

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// roster is a Revoker whose users are set by the test.
type roster struct {
	Changes
	mu    sync.Mutex
	users map[string]bool
}

func (r *roster) set(users ...string) {
	r.mu.Lock()
	r.users = make(map[string]bool)
	for _, u := range users {
		r.users[u] = true
	}
	r.mu.Unlock()
	r.Notify()
}

func (r *roster) has(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.users[user]
}

func (r *roster) Authenticate(_ context.Context, req *Request) (*Reply, error) {
	user, _, _ := req.Plain()
	if !r.has(user) {
		return nil, Pass("unknown user")
	}
	return &Reply{Status: OK, UserID: user, Basis: user}, nil
}

func (r *roster) Revoked(reply *Reply) bool { return !r.has(reply.Basis.(string)) }

// TestChainRevoked: a change reaches the chain's listeners, the cache drops removed users, and
// the reply identifies the entry to ask.
func TestChainRevoked(t *testing.T) {
	users := &roster{}
	users.set("ada", "bob")
	chain := newChain(t, ChainOptions{
		Cache:   CacheOptions{TTL: time.Hour},
		Entries: []Entry{{Name: "users", Handler: users, UserPrefix: "u-"}, {Name: "rest", Handler: answers(OK, "guest")}},
	})
	login := func(c *Chain, user string) *Reply { return Decide(t.Context(), c, plain(user, "x")) }
	ada, bob, guest := login(chain, "ada"), login(chain, "bob"), login(chain, "nobody")
	var revoked []string
	stop := chain.OnChange(func() {
		for _, r := range []*Reply{ada, bob, guest} {
			if chain.Revoked(r) {
				revoked = append(revoked, r.UserID)
			}
		}
	})
	users.set("bob")
	if d := cmp.Diff([]string{"u-ada"}, revoked); d != "" {
		t.Error(d)
	}
	if r := login(chain, "ada"); r.UserID != "guest" {
		t.Errorf("the cache still knows %q", r.UserID)
	}
	stop()
	revoked = nil
	users.set()
	if len(revoked) != 0 {
		t.Errorf("called after stop: %q", revoked)
	}

	reloaded := newChain(t, ChainOptions{Entries: []Entry{{Name: "rest", Handler: answers(OK, "guest")}}})
	if !reloaded.Revoked(bob) || reloaded.Revoked(guest) {
		t.Error("after a reload: want a removed entry to revoke, and one that stays not to")
	}
	stricter := newChain(t, ChainOptions{Entries: []Entry{{Name: "rest", Handler: answers(OK, "guest"), Authz: []Authorizer{agrees}}}})
	if asked := login(stricter, "guest"); stricter.Revoked(guest) || !stricter.Unasked(guest) || stricter.Unasked(asked) {
		t.Error("Unasked: want true for the login from before the reload only")
	}
	if !chain.Revoked(&Reply{Status: OK, Authenticator: "users"}) {
		t.Error("a reply that is not from a chain is not revoked")
	}

	outer := newChain(t, ChainOptions{Entries: []Entry{{Name: "inner", Handler: chain}}})
	users.set("ada")
	nested := login(outer, "ada")
	if outer.Revoked(nested) {
		t.Error("nested chain: revoked too early")
	}
	users.set()
	if !outer.Revoked(nested) {
		t.Error("nested chain: not revoked")
	}
}
