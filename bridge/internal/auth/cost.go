package auth

import "time"

// loginCost is about the processor time for a login without the authenticator: TLS and WebSocket
// handshake, rights, the attachment to the backends.
const loginCost = 2 * time.Millisecond

// Cost returns how long a bridge that has seen no login yet needs for one that the named authenticator
// decides, if it has nothing else to do.
func (a *Chain) Cost(authenticator string) time.Duration {
	if a == nil {
		return 0
	}
	cost := loginCost
	if h, ok := a.authenticators[authenticator].built.(interface{ HashTime() time.Duration }); ok {
		cost += h.HashTime()
	}
	return cost
}
