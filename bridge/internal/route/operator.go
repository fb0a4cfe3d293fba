package route

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file is what operators change in the endpoints of a live route.

// ErrNotListed reports that operators may not connect or disconnect an endpoint.
var ErrNotListed = errors.New("endpoints_allowed of the route does not list this endpoint")

// Connect adds an endpoint, which endpoints_allowed has to list, until it is disconnected or the
// route is gone. key is its server key with CURVE; zero means that of the route. added is false if
// the route has the endpoint already. Errors wrap ErrNotListed, or say what the endpoint lacks. Where
// bridges share the route, all of them connect it, until all have ended.
func (r *Route) Connect(address string, key [32]byte) (added bool, err error) {
	if c, ok := r.follower(); ok {
		return c.handOver(operation{Endpoint: address, ServerKey: key})
	}
	return r.connect(address, key)
}

func (r *Route) connect(address string, key [32]byte) (added bool, err error) {
	err = r.changeSources(func(s *sources) error {
		l := r.links.Load()
		e := Endpoint{Address: address, ServerKey: key, Source: backend.SourceAdmin}
		if err := r.connectable(l, &e); err != nil {
			return err
		}
		if key != [32]byte{} && l.credentials.mechanism != zap.CURVE {
			return errors.New("it has a server_key, and the mechanism of the route is not CURVE")
		}
		added = s.disconnected[address] || !r.has(address)
		delete(s.disconnected, address)
		s.lists[adminList] = append(without(s.lists[adminList], address), e)
		if n := len(s.merged(l.serverKey)); r.socket == zmtp.PAIR && n > 1 {
			return fmt.Errorf("the route would have %d endpoints: a PAIR socket has one", n)
		}
		return nil
	})
	return added && err == nil, err
}

// Disconnect removes an endpoint, which endpoints_allowed has to list. One of the configuration
// comes back with the next reload or start. removed is false if the route does not have it.
func (r *Route) Disconnect(address string) (removed bool, err error) {
	if c, ok := r.follower(); ok {
		return c.handOver(operation{Endpoint: address, Disconnect: true})
	}
	return r.disconnect(address)
}

func (r *Route) disconnect(address string) (removed bool, err error) {
	err = r.changeSources(func(s *sources) error {
		if !r.links.Load().allowed.lists(address) {
			return ErrNotListed
		}
		removed = r.has(address)
		s.lists[adminList] = without(s.lists[adminList], address)
		if removed {
			s.disconnected[address] = true
		}
		return nil
	})
	return removed && err == nil, err
}

// CanDisconnect reports whether the route has an endpoint that operators may disconnect.
func (r *Route) CanDisconnect(address string) bool {
	l := r.links.Load()
	return !r.relay && l.allowed.lists(address) &&
		slices.ContainsFunc(l.connect, func(e Endpoint) bool { return e.Address == address })
}

// connectable reports what keeps operators from connecting e by l.
func (r *Route) connectable(l *links, e *Endpoint) error {
	switch {
	case r.listens:
		return errors.New("backends connect to this route: it connects to none")
	case r.relay:
		return errors.New("this route is a relay: it has one backend")
	case !l.allowed.lists(e.Address):
		return ErrNotListed
	}
	if _, _, err := zmtp.ParseEndpoint(e.Address); err != nil {
		return err
	}
	switch l.credentials.mechanism {
	case zap.CURVE:
		if e.ServerKey == [32]byte{} && l.serverKey == [32]byte{} {
			return errors.New("the mechanism of the route is CURVE, and it has no server_key: want that of the backend")
		}
	case zap.PLAIN:
		if !l.insecurePlaintext && !zmtp.IsLocal(e.Address) {
			return errors.New("PLAIN would send the password in the clear: want insecure_plaintext on the route")
		}
	}
	return nil
}

// without returns list without an address.
func without(list []Endpoint, address string) []Endpoint {
	return slices.DeleteFunc(slices.Clone(list), func(e Endpoint) bool { return e.Address == address })
}

// Connected returns the endpoints that operators have connected, for a route that replaces this
// one.
func (r *Route) Connected() []Endpoint {
	r.changing.Lock()
	defer r.changing.Unlock()
	return slices.Clone(r.sources.lists[adminList])
}
