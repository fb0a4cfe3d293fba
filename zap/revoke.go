package zap

import (
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
