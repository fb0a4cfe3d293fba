package backend

import "time"

// State is what an endpoint, or an inbound peer, is doing.
type State int

// The states. An endpoint goes from Connecting to Connected, Waiting or Refused, from
// Connected to Waiting, and from Waiting and Refused to Connecting. An inbound peer is
// Connected, then Gone. A relay's backend is Connecting, Connected, then Refused or Gone.
const (
	Connecting State = iota // resolving, connecting or in the handshake
	Connected               // logged in: messages can flow
	Waiting                 // lost or not reached; tried again after the back-off
	Refused                 // has refused; tried again after a longer wait, as long as there is a client
	Idle                    // no stream is there that needs it
	Gone                    // it was removed or the socket closed, or the connection was lost for good
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
	case Idle:
		return "idle"
	}
	return "gone"
}

// Status is the state of one endpoint or inbound peer.
type Status struct {
	// Position is the endpoint's, from 1; 0 for an inbound peer.
	Position int
	// Address is the endpoint's, or the remote address of an inbound peer.
	Address string
	// Source is where the endpoint comes from.
	Source Source
	// User is the user id that the ZAP handler gave an inbound peer.
	User string
	// Identity is the routing id that an inbound peer claims; empty if it claims none.
	Identity string
	// Connection is the number of an inbound peer's connection, which no other of the process has: on
	// ipc:// all peers have the same Address. 0 for an endpoint.
	Connection uint64
	State      State
	// Since is when the state began.
	Since time.Time
	// Err is why it is Waiting, Refused or Gone: an *[Error] after a failed attempt, the
	// cause after a lost connection, nil if either side just closed it.
	Err error
	// Next is when the endpoint is tried again; zero unless it is Waiting or Refused, and if it
	// has refused and no attempt is due.
	Next time.Time
	// Reconnects counts the successful connects after a loss, or after a change of the login.
	Reconnects int
	// Handshake is how long the last successful connect and handshake took together; 0 for an
	// inbound peer.
	Handshake time.Duration
	// Waiting is how many messages wait for an inbound peer's turn, or were received from it
	// and wait for a stream that may have them. Only [Shared.Status] sets it.
	Waiting int
}

// Drop is why a message is dropped.
type Drop int

// The reasons. Stats has a field of the same name for each.
const (
	Unroutable Drop = iota
	Overflow
	Unasked
	Forbidden
	Replaced
	TooLarge
)

// String returns the reason as metrics show it.
func (d Drop) String() string {
	return [...]string{"unroutable", "backend-full", "unasked", "not-allowed", "replaced", "too-large"}[d]
}

// Stats are the counts of a socket since it was made.
type Stats struct {
	// Sent and Received count messages written to peers and read from them. A message to
	// several peers counts once for each; subscriptions count too.
	Sent, Received uint64
	// Unroutable counts messages without a destination: to an unknown routing id, or answers
	// whose asker or stream has gone.
	Unroutable uint64
	// Overflow counts messages that a socket type that does not wait has dropped at a peer's
	// high-water mark.
	Overflow uint64
	// Unasked counts messages that the socket type does not accept: replies without a request,
	// requests without a delimiter, any message to a PUSH, empty messages (PROBE_ROUTER) of
	// clients that cannot be passed on.
	Unasked uint64
	// Forbidden counts messages and subscriptions that the rights of a peer or client do not
	// allow.
	Forbidden uint64
	// Replaced counts requests of REQ clients before whose reply the client has sent another.
	Replaced uint64
	// TooLarge counts messages of peers that were discarded because they exceed Options.Limits.
	TooLarge uint64
	// Waiting is how many messages nothing can take at present: those of peers that no stream
	// may have, those of clients that wait for their turn at a peer, and those that wait until
	// a peer is connected.
	Waiting int
	// Queued is how many messages wait to be written now.
	Queued int
	// SubscriptionBytes is what the subscriptions of peers to a PUB or XPUB count, as
	// [ListenOptions] has it.
	SubscriptionBytes int64
}
