package route

import (
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
)

// linkedSocket is the socket of one stream, which the links of its route lead to backends.
type linkedSocket interface {
	comparable
	// relink has the socket follow l.
	relink(l *links)
	// addUsed adds the addresses that it is connected to.
	addUsed(used map[string]bool)
}

// linkedSockets are those that are open on a route. The zero value has none.
type linkedSockets[S linkedSocket] struct {
	mu   sync.Mutex
	open map[S]bool
}

// add adds a socket that was opened by l.
func (o *linkedSockets[S]) add(r *Route, s S, l *links) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = make(map[S]bool)
	}
	o.open[s] = true
	if now := r.links.Load(); now != l { // relink may have missed the socket
		s.relink(now)
	}
}

func (o *linkedSockets[S]) remove(s S) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, s)
}

// relink has all sockets follow l.
func (o *linkedSockets[S]) relink(l *links) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := range o.open {
		s.relink(l)
	}
}

// unused lists the endpoints of the route to which no socket has a connection.
func (o *linkedSockets[S]) unused(r *Route) []backend.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	used := make(map[string]bool)
	for s := range o.open {
		s.addUsed(used)
	}
	return r.links.Load().unused(len(o.open), used)
}
