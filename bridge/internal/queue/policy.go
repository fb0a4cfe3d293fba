package queue

import "fmt"

// Policy is what a queue does with a message for which it has no room.
type Policy int

const (
	// DropOldest makes room by dropping what has waited longest.
	DropOldest Policy = iota
	// DropNewest drops the message that does not fit.
	DropNewest
	// Conflate drops the older message of the same topic (first frame), so that the
	// newest of each topic stays; where there is none, what has waited longest.
	Conflate
	// Disconnect closes the queue and has the client told that it was too slow.
	Disconnect
	// Block makes the producer wait.
	Block
)

var policies = [...]string{
	DropOldest: "drop-oldest",
	DropNewest: "drop-newest",
	Conflate:   "conflate",
	Disconnect: "disconnect",
	Block:      "block",
}

// String is the policy's name as the configuration writes it.
func (p Policy) String() string {
	if p < 0 || int(p) >= len(policies) {
		return fmt.Sprintf("Policy(%d)", int(p))
	}
	return policies[p]
}

// ParsePolicy reads a policy's name. The error lists the names that there are.
func ParsePolicy(name string) (Policy, error) {
	for p, n := range policies {
		if n == name {
			return Policy(p), nil
		}
	}
	return 0, fmt.Errorf("on_full %q: want one of %q", name, policies)
}
