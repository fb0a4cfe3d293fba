package zap

import (
	"reflect"
	"slices"
	"sync"
)

// Revoker is implemented by a handler whose users can change while sessions of theirs
// live: a file that is edited, a key that is removed. [Chain] is one, and asks those of
// its handlers that are. Whoever keeps sessions asks Revoked after each change, and once
// after it has begun to keep a new one, which may have been judged just before a change.
type Revoker interface {
	Handler
	// OnChange has f called after every change of the users, until stop is called; a call
	// may still be under way when stop returns. The calls come one at a time. f may call
	// Revoked; it must not close the handler.
	OnChange(f func()) (stop func())
	// Revoked tells whether reply, which this handler, or the one in its place before a
	// reload, gave with status 200, would no longer be given. It asks nobody and costs no
	// more than a look into a table.
	Revoked(reply *Reply) bool
}

// Reviewer is implemented by a [Handler] or an [Authorizer] that decides by where a peer is,
// not by its credentials, and asks nobody. [Chain.Revoked] asks it about logins anew, since a
// reload may have put it in the place of another.
type Reviewer interface {
	// Review returns an error if it would not accept the login now. The request has a
	// Domain, an Address and a Mechanism only.
	Review(req *Request, reply *Reply) error
}

// chainBasis is the [Reply.Basis] of a [Chain].
type chainBasis struct {
	entry *Entry   // that accepted
	reply *Reply   // of its handler
	peer  *Request // as a Reviewer gets it
}

func newChainBasis(e *Entry, req *Request, reply *Reply) chainBasis {
	return chainBasis{e, reply, &Request{Domain: req.Domain, Address: req.Address, Mechanism: req.Mechanism}}
}

// stands tells whether a login stands by this entry, which may be one of a chain after a
// reload, as far as that can be told without asking anybody.
func (e *Entry) stands(reply *Reply, g chainBasis) bool {
	if e != g.entry && !e.accepts(reply, g) {
		return false
	}
	r, ok := e.Handler.(Revoker)
	return !ok || !r.Revoked(g.reply)
}

// accepts tells whether the entry would make the same reply of its handler's reply g.reply.
// A handler of another type takes other credentials.
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

// askedAll tells whether all authorizers of the entry but Reviewers have accepted the login.
func (e *Entry) askedAll(g chainBasis) bool {
	return e == g.entry || !slices.ContainsFunc(e.Authz, func(a Authorizer) bool {
		_, reviews := a.(Reviewer)
		same := func(b Authorizer) bool { return reflect.TypeOf(a).Comparable() && a == b }
		return !reviews && !slices.ContainsFunc(g.entry.Authz, same)
	})
}

// Changes keeps the functions that are registered with a [Revoker]'s OnChange. Its zero
// value is ready, and it is safe for concurrent use.
type Changes struct {
	calling sync.Mutex // held during the calls, so that they come one at a time
	mu      sync.Mutex // guards list
	list    []*func()
}

// OnChange registers f. It is what the method of a Revoker calls.
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

// Notify calls the registered functions in the order of their registration. The caller
// holds no lock that they may want.
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
