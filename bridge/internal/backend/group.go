package backend

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Group is what sockets of [Dial] know of each other that connect to the same backends. Once the
// first connection of one of them to an address is ready, the others try it at once that wait for
// their next attempt, at most one time a second each; those whose login was refused only if they
// have the login that was accepted. The zero value is an empty group.
type Group struct {
	mu      sync.Mutex
	waiting map[string]map[*endpoint]bool // by address
}

// note notes whether e waits for its next attempt. core.mu is held on entry.
func (g *Group) note(e *endpoint, waits bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	others := g.waiting[e.Address]
	switch {
	case waits && others == nil:
		if g.waiting == nil {
			g.waiting = make(map[string]map[*endpoint]bool)
		}
		g.waiting[e.Address] = map[*endpoint]bool{e: true}
	case waits:
		others[e] = true
	default:
		delete(others, e)
		if len(others) == 0 {
			delete(g.waiting, e.Address)
		}
	}
}

// accepted hurries those that wait for an address, where this login was accepted.
func (g *Group) accepted(address string, login zmtp.ClientSecurity) {
	g.mu.Lock()
	list := slices.Collect(maps.Keys(g.waiting[address]))
	g.mu.Unlock()
	for _, e := range list {
		e.reconsider(func(own zmtp.ClientSecurity) bool { return reflect.DeepEqual(own, login) })
	}
}

// Renewed reports that Renew of the endpoints can return another login than before. Those that
// have refused the earlier one are tried again at once, also with HonorError.
func (s *Dedicated) Renewed() {
	c := s.d.core
	c.mu.Lock()
	list := slices.Clone(s.d.endpoints)
	c.mu.Unlock()
	for _, e := range list {
		c.mu.Lock()
		refused, used := e.status.State == Refused, e.used
		c.mu.Unlock()
		if refused {
			e.reconsider(func(next zmtp.ClientSecurity) bool { return !reflect.DeepEqual(next, used) })
		}
	}
}

// reconsider hurries the next attempt. If the last one was refused, it asks good about the login of
// the next one before.
func (e *endpoint) reconsider(good func(zmtp.ClientSecurity) bool) {
	c := e.d.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.status.State == Refused {
		login, renew, attempt := e.Security, e.Renew, e.begun
		if renew != nil {
			var err error
			c.mu.Unlock() // it reads files
			login, err = renew()
			c.mu.Lock()
			if err != nil {
				return
			}
		}
		if e.begun != attempt || e.status.State != Refused || !good(login) {
			return
		}
		e.final = false
	}
	e.hurry()
}
