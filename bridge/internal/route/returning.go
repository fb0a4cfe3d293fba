package route

import (
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
)

// returning knows which inbound backends come back: what such a one has published while it was away is
// missing in the history. A backend is recognized by its user and the routing id that it claims. If it has
// neither, it can be any of those that have left. An outbound one is recognized by its endpoint
// (backend.Status.Reconnects).
type returning struct {
	mu    sync.Mutex
	all   bool                    // any can have been there before: at another bridge, before a restart, or too many to know
	known map[peerKey]*attendance // has those that are connected, unless there were too many
	joins map[uint64]uint64       // attendance.joins when a backend that is connected joined, by its connection
}

// peerKey is by what an inbound backend is recognized.
type peerKey struct{ user, id string }

type attendance struct {
	joins uint64 // how often backends with the key have joined
	left  bool   // one has left
}

// maxKnown is how many keys are known. Beyond it, each backend is taken for one that comes back.
const maxKnown = 10_000

func newReturning(all bool) *returning {
	return &returning{all: all, known: make(map[peerKey]*attendance), joins: make(map[uint64]uint64)}
}

// gap reports whether a change of the state of an inbound backend means that messages are missing: it was
// away when it joins; or it leaves, and one with its key has joined since, which can be the same one: its
// connection was cut, and this end of it noticed that only now.
func (r *returning) gap(s backend.Status) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.attendance(peerKey{s.User, s.Identity})
	switch s.State {
	case backend.Connected:
		a.joins++
		r.joins[s.Connection] = a.joins
		return r.all || a.left
	case backend.Gone:
		overtaken := r.joins[s.Connection] < a.joins
		delete(r.joins, s.Connection)
		a.left = true
		return overtaken
	}
	return false
}

// attendance returns that of key. Lock held on entry.
func (r *returning) attendance(key peerKey) *attendance {
	a := r.known[key]
	if a == nil {
		if len(r.known) >= maxKnown {
			clear(r.known)
			r.all = true
		}
		a = new(attendance)
		r.known[key] = a
	}
	return a
}
