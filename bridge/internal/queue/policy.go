package queue

import "fmt"

// Policy is what a queue does with a message that does not fit.
type Policy int

// The policies, as on_full names them.
const (
	// DropOldest drops the messages that have waited longest.
	DropOldest Policy = iota
	// DropNewest drops the message that does not fit.
	DropNewest
	// Conflate drops older messages of the same topic (first frame), so that the newest of
	// each topic stays. If that leaves too many, it drops those that have waited longest.
	Conflate
	// Disconnect closes the queue and ends the client's stream.
	Disconnect
	// Block makes the producer wait.
	Block
	// Replay takes nothing more until the writer has caught up from Options.Backlog, so that
	// nothing is lost that the backlog keeps.
	Replay
)

var policies = [...]string{
	DropOldest: "drop-oldest",
	DropNewest: "drop-newest",
	Conflate:   "conflate",
	Disconnect: "disconnect",
	Block:      "block",
	Replay:     "replay",
}

// String returns the policy's name in the configuration.
func (p Policy) String() string {
	if p < 0 || int(p) >= len(policies) {
		return fmt.Sprintf("Policy(%d)", int(p))
	}
	return policies[p]
}

// ParsePolicy returns the policy of that name. The error lists the names.
func ParsePolicy(name string) (Policy, error) {
	for p, n := range policies {
		if n == name {
			return Policy(p), nil
		}
	}
	return 0, fmt.Errorf("on_full %q: want one of %q", name, policies)
}
