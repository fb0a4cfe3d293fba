package zmtp

import (
	"context"
	"io"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Mechanism is one side of the security handshake of one connection, and afterwards the
// codec of its traffic. It is a state machine that knows commands, not transports. One
// goroutine drives Next until Done; afterwards one goroutine may call Encode while
// another calls Decode.
type Mechanism interface {
	// Name is the mechanism's name on the wire.
	Name() zap.Mechanism

	// Next takes the peer's next command and returns ours. A side that speaks first is
	// started with a nil command; one that waits answers nil with nil. A nil out means
	// that nothing is to be sent now: the peer's turn, or done. in and what it aliases
	// are not kept.
	//
	// When err is not nil the handshake has failed for good. out may still hold a last
	// command, an ERROR, that is to be sent before the connection is closed. A refusal,
	// told to the peer or by it, is a *RefusedError; a command that the state does not
	// allow is an error that wraps ErrProtocol.
	Next(ctx context.Context, in *Command) (out *Command, err error)

	// Done tells that the handshake is complete: what Next returned last, if anything,
	// is still to be sent, and then traffic may flow.
	Done() bool

	// Peer tells who is at the other end, as far as the handshake has got: on a server
	// side who logged in as soon as the ZAP handler has answered, the metadata as soon
	// as it has arrived. Nil before that.
	Peer() *Peer

	// Encode makes of a frame of traffic the frame that goes to the transport. The body
	// of the result is valid until the next Encode and may alias f.Body. It fails before
	// Done, and when CURVE has used up its nonces.
	Encode(f Frame) (Frame, error)

	// Decode is the inverse of Encode. The body of the result is valid until the next
	// Decode and may alias f.Body, which may be overwritten. An error wraps ErrProtocol
	// and is final: the connection has been tampered with, or the peer is broken.
	Decode(f Frame) (Frame, error)
}

// Peer is what one side of a finished handshake knows of the other.
type Peer struct {
	Mechanism zap.Mechanism
	// Metadata is what the peer said of itself in READY or INITIATE.
	Metadata zap.Metadata
	// Reply is the ZAP handler's 200; nil on a client side.
	Reply *zap.Reply
	// Credentials are the frames that the ZAP handler judged, so that a bridge may pass
	// a PLAIN login on. They are secrets. Nil on a client side.
	Credentials [][]byte
}

// SocketType is the peer's Socket-Type property; empty if it named none.
func (p *Peer) SocketType() SocketType { return SocketType(p.Metadata.Get("Socket-Type")) }

// RoutingID is the peer's Identity property; empty if it named none.
func (p *Peer) RoutingID() []byte { return []byte(p.Metadata.Get("Identity")) }

// ClientSecurity is the credentials of a client side: [Null], [Plain], [Curve] or
// [Bearer]. It holds no state of a connection and may be used for many.
type ClientSecurity interface {
	// Name is the mechanism's name on the wire.
	Name() zap.Mechanism
	// NewClient makes the client side for one connection. local is what it tells of
	// itself (Socket-Type, Identity, …). The error says what is wrong with the
	// credentials, for instance a password that is too long.
	NewClient(local zap.Metadata) (Mechanism, error)
}

// Null is the client side without credentials (23/ZMTP, NULL).
type Null struct{}

// Plain is a user name and a password (24/ZMTP-PLAIN), each of at most 255 octets, which
// travel as they are: the transport has to keep them secret.
type Plain struct {
	User     string
	Password string
}

// Bearer is a token (45/ZWS names the mechanism and leaves it open; it is PLAIN with the
// token as the rest of the HELLO).
type Bearer struct {
	Token string
}

// Curve is a client's long-term key pair and the server's long-term public key
// (26/CURVEZMQ).
type Curve struct {
	Public    [32]byte
	Secret    [32]byte
	ServerKey [32]byte
	// Rand is where the transient key comes from; nil means crypto/rand. Only replayed
	// recordings want another.
	Rand io.Reader
}

// ServerSecurity is what the server side of a mechanism needs to decide on a peer. It may
// be used for many connections if Address is the same, or copied for each.
type ServerSecurity struct {
	// Handler decides on every peer. Required: without one no server side can be made.
	Handler zap.Handler
	// Domain is the ZAP domain. Required.
	Domain string
	// Address is the peer's IP address for the ZAP request; empty on ipc.
	Address string
	// Local is what this side tells of itself in READY (Socket-Type, Identity, …).
	Local zap.Metadata
	// CurvePublic and CurveSecret are the server's long-term key pair; used by CURVE only.
	CurvePublic, CurveSecret [32]byte
	// Admit, if not nil, is asked after the ZAP handler has let the peer in and the
	// peer's metadata is known, and holds READY back until it returns. An error takes
	// the place of READY: if it is, or wraps, a *RefusedError, the peer is told its
	// status in an ERROR command; any other is not told.
	Admit func(ctx context.Context, peer *Peer) error
	// LibzmqError makes PLAIN send its ERROR as libzmq's PLAIN clients since 4.3.0
	// expect it ("^RROR"), which report the specified form as a protocol fault.
	LibzmqError bool
	// Rand is where transient keys come from; nil means crypto/rand.
	Rand io.Reader
}
