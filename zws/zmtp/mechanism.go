package zmtp

import (
	"context"
	"io"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Mechanism is one side of the security handshake of one connection and, once that is
// complete, encodes and decodes its traffic. It is a state machine over commands and knows no
// transport. One goroutine calls Next until Done; afterwards one goroutine may call Encode
// while another calls Decode.
type Mechanism interface {
	// Name returns the mechanism's name on the wire.
	Name() zap.Mechanism

	// Next handles the peer's next command and returns the command to send. A side that
	// speaks first is started with a nil command; for one that waits, Next(nil) returns
	// nil. If out is nil nothing is to be sent: it is the peer's turn, or the handshake is
	// complete. Next keeps neither in nor what it aliases.
	//
	// An error ends the handshake for good. out may still hold a last command, an ERROR,
	// that is to be sent before the connection is closed. The error is a *RefusedError if
	// either side refused the other, and wraps ErrProtocol if the peer sent a command
	// that is not allowed in this state.
	Next(ctx context.Context, in *Command) (out *Command, err error)

	// Done reports whether the handshake is complete. The last command that Next
	// returned, if any, must be sent before any traffic.
	Done() bool

	// Peer returns what is known of the peer: on a server side from the ZAP handler's
	// reply on, with the metadata as soon as it has arrived; on a client side once the
	// handshake is complete. It is nil before that.
	Peer() *Peer

	// Encode returns the frame to send for a frame of traffic. The body of the result is
	// valid until the next Encode and may alias f.Body. It fails before Done, and when
	// CURVE has used all its nonces.
	Encode(f Frame) (Frame, error)

	// Decode is the inverse of Encode. The body of the result is valid until the next
	// Decode and may alias f.Body, which Decode may overwrite. An error wraps ErrProtocol
	// and is final: the peer is broken, or somebody has tampered with the connection.
	Decode(f Frame) (Frame, error)
}

// ServerMechanism is what NewServer returns, for a caller that has decided what READY says
// only after Next has returned it.
type ServerMechanism interface {
	Mechanism
	// Ready returns READY with other metadata, to be sent instead of the one that the last Next
	// returned: in CURVE both have the same nonce, so only one of them may be sent. It may be
	// called once Done reports true and before any traffic.
	Ready(local zap.Metadata) *Command
}

// Peer describes the other side of a handshake.
type Peer struct {
	Mechanism zap.Mechanism
	// Metadata is the peer's metadata from READY or INITIATE.
	Metadata zap.Metadata
	// Reply is the ZAP handler's reply of status 200; nil on a client side.
	Reply *zap.Reply
	// Credentials are the frames that the ZAP handler accepted, so that a bridge can
	// forward a PLAIN login. They are secrets. Nil on a client side.
	Credentials [][]byte
}

// SocketType returns the peer's Socket-Type property, or "" if it sent none.
func (p *Peer) SocketType() SocketType { return SocketType(p.Metadata.Get("Socket-Type")) }

// RoutingID returns the peer's Identity property; it is empty if the peer sent none.
func (p *Peer) RoutingID() []byte { return []byte(p.Metadata.Get("Identity")) }

// ClientSecurity holds the credentials of a client side: [Null], [Plain], [Curve] or
// [Bearer]. It holds no state of a connection, so that many connections can share it.
type ClientSecurity interface {
	// Name returns the mechanism's name on the wire.
	Name() zap.Mechanism
	// NewClient returns the client side of one handshake, which sends local as its
	// metadata (Socket-Type, Identity, …). It fails on credentials that cannot be sent,
	// for instance a password that is too long.
	NewClient(local zap.Metadata) (Mechanism, error)
}

// Null is the client side without credentials (23/ZMTP, NULL).
type Null struct{}

// Plain holds a user name and a password of at most [MaxPlain] bytes each (24/ZMTP-PLAIN).
// They travel as cleartext, so the transport has to keep them secret.
type Plain struct {
	User     string
	Password string
}

// Bearer holds a token. 45/ZWS names the mechanism BEARER and leaves its content open; here
// it is PLAIN with the token as the data of HELLO.
type Bearer struct {
	Token string
}

// Curve holds a client's long-term key pair and the server's long-term public key
// (26/CURVEZMQ).
type Curve struct {
	Public    [32]byte
	Secret    [32]byte
	ServerKey [32]byte
	// Rand is the source of transient keys and nonces; nil means crypto/rand. Only tests
	// that replay a recording set it.
	Rand io.Reader
}

// ServerSecurity configures the server side of a mechanism. Many connections can share one
// if their Address is the same; otherwise copy it.
type ServerSecurity struct {
	// Handler authenticates every peer. Required.
	Handler zap.Handler
	// Domain is the ZAP domain. Required.
	Domain string
	// Address is the peer's IP address for the ZAP request; empty for ipc.
	Address string
	// Local is the metadata that READY carries (Socket-Type, Identity, …).
	Local zap.Metadata
	// CurvePublic and CurveSecret are the server's long-term key pair. Only CURVE uses
	// them.
	CurvePublic, CurveSecret [32]byte
	// Admit, if not nil, is called once the ZAP handler has accepted the peer and the
	// peer's metadata is known; READY is sent when it returns nil. An error ends the
	// handshake: if it is or wraps a *RefusedError, an ERROR command with its status is
	// sent first.
	Admit func(ctx context.Context, peer *Peer) error
	// LibzmqError makes PLAIN send its ERROR as "^RROR". libzmq's PLAIN clients since
	// 4.3.0 expect this form and report the specified one as a protocol error.
	LibzmqError bool
	// Rand is the source of transient keys and nonces; nil means crypto/rand.
	Rand io.Reader
}
