package rights

import "github.com/zwsbridge/zwsbridge/zws/zmtp"

// Filtered reports whether rights decide on each message that a client receives on a route
// with this socket type. A DEALER, REQ or ROUTER receives answers to what the client was
// allowed to send, and a PUB or XPUB receives subscriptions.
func Filtered(t zmtp.SocketType) bool {
	switch t {
	case zmtp.SUB, zmtp.XSUB, zmtp.PULL, zmtp.PAIR, zmtp.REP:
		return true
	}
	return false
}

// RelayNeeds returns the directions in which a login on a relay with this socket type needs
// rights to every topic, because a relay cannot check each message.
func RelayNeeds(t zmtp.SocketType) (receive, send bool) {
	return Filtered(t), t != zmtp.SUB && t != zmtp.PULL
}
