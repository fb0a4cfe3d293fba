package zmtp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SocketType is a ZeroMQ socket type, spelled as in the Socket-Type property.
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

// Valid reports whether t is a socket type that ZMTP knows.
func (t SocketType) Valid() bool { return peers[t] != nil }

// Validate returns an error that lists the socket types if t is not one of them.
func (t SocketType) Validate() error {
	if t.Valid() {
		return nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		names = append(names, string(name))
	}
	return fmt.Errorf("unknown socket type %q (one of %s)", string(t), strings.Join(names, ", "))
}

// Accepts reports whether a socket of type t may talk to a peer of type peer (23/ZMTP).
func (t SocketType) Accepts(peer SocketType) bool { return slices.Contains(peers[t], peer) }

// Subscribes reports whether sockets of type t send subscriptions and receive by topic
// (29/PUBSUB).
func (t SocketType) Subscribes() bool { return t == SUB || t == XSUB }

// Publishes reports whether sockets of type t receive subscriptions and send by topic
// (29/PUBSUB).
func (t SocketType) Publishes() bool { return t == PUB || t == XPUB }
