package route

import (
	"context"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
)

// routingIDs are the routing ids of the clients of a route that passes them on to the
// backends: two streams with one id would take each other's messages.
type routingIDs struct {
	mu   sync.Mutex
	held map[string]*idHolder
}

// reuseDelay is how long a routing id rests after its connection to the backend was closed. A
// libzmq ROUTER frees an id only when its application comes to read the end of the old
// connection, and ignores a new connection with the id that arrives before.
const reuseDelay = 250 * time.Millisecond

// idHolder is the stream that has a routing id.
type idHolder struct {
	user     string
	takeOver func()        // ends the stream
	resting  bool          // it has given the id back
	released chan struct{} // closed when another stream can have the id
}

// ClaimRoutingID reserves the client's routing id where the route passes it on. An older
// stream of the same user that has it is ended by its takeOver, and ClaimRoutingID waits
// until that has given the id back and reuseDelay has passed; a client without a user name takes nothing over. The
// caller calls release, once or more often, when its own stream is detached from the backend;
// it is nil with an error only. The error is a *[zws.CloseError] or that of ctx.
//
// takeOver can be called from any goroutine until release was called. It may wait for the
// stream to be detached from its backend.
func (r *Route) ClaimRoutingID(ctx context.Context, l *zws.Login, takeOver func()) (release func(), err error) {
	id := string(l.RoutingID)
	if !r.clientRoutingID || id == "" {
		return func() {}, nil
	}
	if id[0] == 0 { // reserved: a ROUTER makes such ids for peers without one (28/REQREP)
		return nil, forbidden("a routing id must not begin with a zero byte here")
	}
	h := &idHolder{user: l.User(), takeOver: takeOver, released: make(chan struct{})}
	for {
		older := r.ids.take(id, h)
		if older == nil {
			return sync.OnceFunc(func() { r.ids.release(id, h) }), nil
		}
		if !r.ids.resting(older) {
			if older.user != h.user || h.user == "" {
				return nil, forbidden("this routing id is in use by another client")
			}
			older.takeOver()
		}
		select {
		case <-older.released:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take makes h the holder of id if nobody has it, and returns the one that has it else.
func (r *routingIDs) take(id string, h *idHolder) (older *idHolder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if older := r.held[id]; older != nil {
		return older
	}
	if r.held == nil {
		r.held = make(map[string]*idHolder)
	}
	r.held[id] = h
	return nil
}

func (r *routingIDs) resting(h *idHolder) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return h.resting
}

// release gives id back, for others to have after reuseDelay.
func (r *routingIDs) release(id string, h *idHolder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.resting = true
	time.AfterFunc(reuseDelay, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.held, id)
		close(h.released)
	})
}
