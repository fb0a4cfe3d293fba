package zws

import (
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Login is who a session belongs to and what the client told of itself. It is not changed
// once it is made; a renewal makes another.
type Login struct {
	// Dialect is the subprotocol as it was offered and answered; "webtalk" for
	// webtalk's form of ZWS1.0.
	Dialect string
	// Mechanism tells what Credentials holds: the mechanism of the subprotocol, or for
	// HTTP credentials PLAIN, BEARER or TLS.
	Mechanism zap.Mechanism
	// Credentials are the frames that the ZAP handler judged. They are secrets.
	Credentials [][]byte
	// Reply is the ZAP handler's 200.
	Reply *zap.Reply
	// Address is the client's IP address.
	Address string
	// SocketType is the client's; Options.Untyped if it named none. On a channel of
	// ZWSMUX1.0 it is empty then, since only the route knows.
	SocketType zmtp.SocketType
	// RoutingID is what the client calls itself; empty if it gave nothing. At most 255
	// octets.
	RoutingID []byte
	// Multiplexed tells that this is a login for channels that the client will open
	// (ZWSMUX1.0): SocketType and RoutingID mean nothing, and Options.Open has nothing to
	// connect.
	Multiplexed bool
	// Metadata is what the client told of itself in READY or INITIATE; nil on dialects
	// without a mechanism.
	Metadata zap.Metadata
	// Relayed is the mechanism that the client speaks with who is behind a relay; empty
	// elsewhere. The login is not by it.
	Relayed zap.Mechanism
	// Greets tells that the client of a relay can be told the version of who is behind, by
	// Channel.Greeted, and so speaks whichever it is.
	Greets bool
	// Connect and Bind are the endpoints that the client asked for in its URL, as webtalk
	// has it. They are its wish only, for the bridge to judge.
	Connect, Bind []string
	// Subscribe are the topics that a webtalk client named in its URL. The channel gives
	// them out as its first messages.
	Subscribe [][]byte

	codec Codec // nil where each session has keys of its own
}

// User is the user that the ZAP handler named; empty for an anonymous one.
func (l *Login) User() string { return l.Reply.UserID }

// Codec is how the session's messages are encoded, as Channel.Codec has it; here for
// Options.Open, which is called before there is a session.
func (l *Login) Codec() (codec Codec, ok bool) { return l.codec, l.codec != nil }

// Notices tells whether the client asked for notices: metadata "Notices: 1".
func (l *Login) Notices() bool { return l.Metadata.Get("Notices") == "1" }
