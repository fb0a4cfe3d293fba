package backend

import "time"

// State is what an endpoint is doing, or a peer that has dialled in.
type State int

// The states. An endpoint goes from Connecting to Connected, Waiting or Refused, from
// Connected to Waiting, and from Waiting to Connecting. A peer that has dialled in is
// Connected, then Gone.
const (
	Connecting State = iota // resolving, connecting or in the handshake
	Connected               // logged in: messages may flow
	Waiting                 // lost or not reached; tried again after the back-off
	Refused                 // it has refused us and is not tried again
	Gone                    // the socket was closed, a peer that had dialled in has left, or a relay's backend was lost
)

// String returns the state as logs and the admin interface show it.
func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Connected:
		return "ready"
	case Waiting:
		return "unreachable"
	case Refused:
		return "refused"
	}
	return "gone"
}

// Status is the state of one endpoint, or of one peer that has dialled in.
type Status struct {
	// Position is the endpoint's, counted from 1; 0 for a peer that has dialled in.
	Position int
	// Address is the endpoint's, or where the peer came from.
	Address string
	// User is who has dialled in, as the ZAP handler named it.
	User  string
	State State
	// Since is when it came into this state.
	Since time.Time
	// Err is why it is Waiting, Refused or Gone; nil if the peer simply hung up or we did.
	Err error
	// Reconnects is how often the endpoint was connected again after a loss.
	Reconnects int
	// Handshake is how long the last successful connect and handshake took together; 0
	// for a peer that has dialled in.
	Handshake time.Duration
}

// Drop is why a message goes nowhere.
type Drop int

// The reasons, each counted by the field of Stats of the same name.
const (
	Unroutable Drop = iota
	Overflow
	Unasked
)

// String returns the reason as metrics show it.
func (d Drop) String() string {
	return [...]string{"unroutable", "backend-full", "unasked"}[d]
}

// Stats are the counts of a socket since it was made.
type Stats struct {
	// Sent and Received count messages that were written to peers and read from them. A
	// message that goes to several counts for each; subscriptions count as well.
	Sent, Received uint64
	// Unroutable counts messages with nobody to go to: a ROUTER's for an unknown routing
	// id, answers whose asker or session has gone.
	Unroutable uint64
	// Overflow counts messages that were dropped at a peer's high-water mark by a socket
	// type that does not wait.
	Overflow uint64
	// Unasked counts messages of peers that the socket type does not provide for: replies
	// to no request, requests without delimiter, anything at all to a PUSH.
	Unasked uint64
	// Queued is how many messages wait unwritten at present.
	Queued int
}
