package auth

import "time"

// loginCost is about the processor time for a login without the authenticator: TLS and WebSocket
// handshake, rights, the attachment to the backends.
const loginCost = 2 * time.Millisecond

// Cost returns how long a bridge needs for a login that the named authenticator decides, if it has nothing
// else to do: one that has seen no login yet or, if again is set, none but one of the same user.
func (a *Chain) Cost(authenticator string, again bool) time.Duration {
	if a == nil {
		return 0
	}
	cost := loginCost
	if h, ok := a.authenticators[authenticator].built.(interface {
		HashTime(again bool) time.Duration
	}); ok {
		cost += h.HashTime(again)
	}
	return cost
}
