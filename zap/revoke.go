package zap

import (
	"reflect"
	"slices"
	"sync"
)

// Revoker is implemented by a handler whose users or keys can change while logins last: a
// file is edited, a key is removed. [Chain] implements it for the handlers that do.
//
// A caller that keeps logins calls Revoked for each of them after every change, and once for
// each new login, which may have been decided just before a change.
type Revoker interface {
	Handler
	// OnChange registers f to be called after every change until stop is called; one call
	// may still be running when stop returns. Calls do not overlap. f may call Revoked but
	// must not close the handler.
	OnChange(f func()) (stop func())
	// Revoked reports whether reply, a 200 from this handler or from the one that it
	// replaced at a reload, would no longer be given. It does not block and costs no more
	// than a map lookup.
	Revoked(reply *Reply) bool
}

// Reviewer is implemented by a [Handler] or [Authorizer] that decides by the peer's address
// rather than its credentials, without waiting for anything. [Chain.Revoked] calls it to
// decide on existing logins again, since a reload may have changed the rules.
type Reviewer interface {
	// Review returns an error if it would not accept the login now. Only Domain, Address
	// and Mechanism of the request are set.
	Review(req *Request, reply *Reply) error
}

// chainBasis is the [Reply.Basis] of a [Chain].
type chainBasis struct {
	entry *Entry   // the one that accepted
	reply *Reply   // its handler's
	peer  *Request // for a Reviewer
}

func newChainBasis(e *Entry, req *Request, reply *Reply) chainBasis {
	return chainBasis{e, reply, &Request{Domain: req.Domain, Address: req.Address, Mechanism: req.Mechanism}}
}

// stands reports whether a login is still valid for this entry, which may belong to a chain
// after a reload, as far as can be known without asking a service.
func (e *Entry) stands(reply *Reply, g chainBasis) bool {
	if e != g.entry && !e.accepts(reply, g) {
		return false
	}
	r, ok := e.Handler.(Revoker)
	return !ok || !r.Revoked(g.reply)
}

// accepts reports whether the entry would turn its handler's reply g.reply into the same
// decision. A handler of another type takes other credentials.
func (e *Entry) accepts(reply *Reply, g chainBasis) bool {
	if reflect.TypeOf(e.Handler) != reflect.TypeOf(g.entry.Handler) || e.user(g.reply) != reply.UserID {
		return false
	}
	if r, ok := e.Handler.(Reviewer); ok && r.Review(g.peer, g.reply) != nil {
		return false
	}
	return !slices.ContainsFunc(e.Authz, func(a Authorizer) bool {
		r, ok := a.(Reviewer)
		return ok && r.Review(g.peer, reply) != nil
	})
}

// askedAll reports whether all authorizers of the entry except Reviewers have accepted the login.
func (e *Entry) askedAll(g chainBasis) bool {
	return e == g.entry || !slices.ContainsFunc(e.Authz, func(a Authorizer) bool {
		_, reviews := a.(Reviewer)
		same := func(b Authorizer) bool { return reflect.TypeOf(a).Comparable() && a == b }
		return !reviews && !slices.ContainsFunc(g.entry.Authz, same)
	})
}

// Changes holds the functions that are registered with a [Revoker]'s OnChange. The zero value
// is ready to use. It is safe for concurrent use.
type Changes struct {
	calling sync.Mutex // held during the calls, so that they come one at a time
	mu      sync.Mutex // guards list
	list    []*func()
}

// OnChange registers f, for the OnChange method of a Revoker.
func (c *Changes) OnChange(f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, &f)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.list = slices.DeleteFunc(c.list, func(g *func()) bool { return g == &f })
	}
}

// Notify calls the registered functions in the order of their registration. The caller must
// not hold a lock that they need.
func (c *Changes) Notify() {
	c.calling.Lock()
	defer c.calling.Unlock()
	c.mu.Lock()
	list := slices.Clone(c.list)
	c.mu.Unlock()
	for _, f := range list {
		(*f)()
	}
}
