package rights

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// Filtered reports whether rights decide on each message that a client of a route with this
// socket type receives. What a DEALER, REQ or ROUTER receives answers what the client was
// allowed to send, and what a PUB or XPUB receives are subscriptions.
func Filtered(t zmtp.SocketType) bool {
	switch t {
	case zmtp.SUB, zmtp.XSUB, zmtp.PULL, zmtp.PAIR, zmtp.REP:
		return true
	}
	return false
}

// RelayNeeds returns the directions for which a login on a relay with this socket type
// needs rights to every topic: those whose messages any other route would check.
func RelayNeeds(t zmtp.SocketType) (receive, send bool) {
	return Filtered(t), t != zmtp.SUB && t != zmtp.PULL
}
