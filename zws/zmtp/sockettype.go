package zmtp

// SocketType is a ZeroMQ socket type as the Socket-Type property names it.
type SocketType string

// The socket types of 28/REQREP, 29/PUBSUB, 30/PIPELINE and 31/EXPAIR.
const (
	REQ    SocketType = "REQ"
	REP    SocketType = "REP"
	DEALER SocketType = "DEALER"
	ROUTER SocketType = "ROUTER"
	PUB    SocketType = "PUB"
	SUB    SocketType = "SUB"
	XPUB   SocketType = "XPUB"
	XSUB   SocketType = "XSUB"
	PUSH   SocketType = "PUSH"
	PULL   SocketType = "PULL"
	PAIR   SocketType = "PAIR"
)

// peers is the table of valid combinations in 23/ZMTP, "The Socket-Type Property".
var peers = map[SocketType][]SocketType{
	REQ:    {REP, ROUTER},
	REP:    {REQ, DEALER},
	DEALER: {REP, DEALER, ROUTER},
	ROUTER: {REQ, DEALER, ROUTER},
	PUB:    {SUB, XSUB},
	XPUB:   {SUB, XSUB},
	SUB:    {PUB, XPUB},
	XSUB:   {PUB, XPUB},
	PUSH:   {PULL},
	PULL:   {PUSH},
	PAIR:   {PAIR},
}

// Valid tells whether t is one of the eleven socket types.
func (t SocketType) Valid() bool { return peers[t] != nil }

// Accepts tells whether a socket of type t may talk to a peer of type peer (23/ZMTP).
func (t SocketType) Accepts(peer SocketType) bool {
	for _, p := range peers[t] {
		if p == peer {
			return true
		}
	}
	return false
}

// Subscribes reports whether sockets of type t send subscriptions and receive by topic
// (29/PUBSUB).
func (t SocketType) Subscribes() bool { return t == SUB || t == XSUB }

// Publishes reports whether sockets of type t receive subscriptions and send by topic
// (29/PUBSUB).
func (t SocketType) Publishes() bool { return t == PUB || t == XPUB }
