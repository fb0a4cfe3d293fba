package zws

import (
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Login is the result of an authentication and what the client said about itself. It is
// immutable; a renewal makes another.
type Login struct {
	// Dialect is the subprotocol as it was offered and answered; "webtalk" for webtalk's
	// form of ZWS1.0.
	Dialect string
	// Mechanism defines what Credentials holds: the mechanism of the subprotocol, or for
	// HTTP credentials PLAIN, BEARER or TLS.
	Mechanism zap.Mechanism
	// Credentials are the frames that the ZAP handler judged. They are secrets.
	Credentials [][]byte
	// Reply is the ZAP handler's 200.
	Reply *zap.Reply
	// Address is the client's IP address.
	Address string
	// SocketType is the client's; Options.Untyped if it named none. On a channel of
	// ZWSMUX1.0 it is then empty, because only the route knows.
	SocketType zmtp.SocketType
	// RoutingID is the client's, at most 255 bytes; empty if it named none.
	RoutingID []byte
	// Multiplexed marks the login of a connection of ZWSMUX1.0, whose channels follow:
	// SocketType and RoutingID have no meaning.
	Multiplexed bool
	// Metadata is the client's in READY or INITIATE; nil on dialects without a mechanism.
	Metadata zap.Metadata
	// Relayed is the mechanism that the client uses with the backend of a relay; empty
	// elsewhere. Mechanism is that of this login.
	Relayed zap.Mechanism
	// Greets is set if the client of a relay learns by AcceptOptions.Minor which version of
	// ZMTP 3 the backend uses, and so can use the same.
	Greets bool
	// History is set if the client asked for positions and may resume at one. Queue is the
	// name of the queue that it asked for, at most MaxQueueName bytes; nil if it named none.
	History bool
	Queue   *string

	wishes *Wishes // nil if it named nothing
	codecs *codecs // of the dialect, or an option of it; nil where each connection has keys of its own
}

// Wishes are what a client named in its URL, as webtalk does.
type Wishes struct {
	// Connect and Bind are endpoints, for the caller to judge.
	Connect, Bind []string
	// Subscribe are topics, of webtalk only. The channel returns them as its first messages.
	Subscribe [][]byte
}

// Wishes returns what the client named in its URL.
func (l *Login) Wishes() Wishes {
	if l.wishes == nil {
		return Wishes{}
	}
	return *l.wishes
}

// codecs encode messages without and with positions, for clients that asked for history. marking is nil
// if no client of the dialect can.
type codecs struct{ plain, marking Codec }

// User returns the user that the ZAP handler named; empty for an anonymous one.
func (l *Login) User() string { return l.Reply.UserID }

// Codec is Channel.Codec for a login that is still pending. positions is set if the route
// keeps a history, as in AcceptOptions.History: for a client that asked for it, messages then
// carry their positions.
func (l *Login) Codec(positions bool) (codec Codec, ok bool) {
	switch {
	case l.codecs == nil:
		return nil, false
	case positions && l.History:
		return l.codecs.marking, l.codecs.marking != nil
	}
	return l.codecs.plain, l.codecs.plain != nil
}

// Notices reports whether the client asked for notifications: metadata "Notices: 1".
func (l *Login) Notices() bool { return l.Metadata.Get("Notices") == "1" }
