package zmtp

import (
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

var (
	// ErrProtocol is wrapped by every error about bytes that the protocol does not allow.
	ErrProtocol = errors.New("protocol error")
	// ErrNotZMTP means that the peer does not speak ZMTP.
	ErrNotZMTP = errors.New("the peer does not speak ZMTP")
	// ErrVersion means that the peer speaks a ZMTP older than 3.0, or with Options.ZMTP2 older
	// than 2.0.
	ErrVersion = errors.New("the peer speaks a ZMTP older than 3.0")
	// ErrClosedBeforeGreeting means that the peer that was dialled closed the connection before
	// its greeting was complete. Forwarders do so (docker-proxy, ssh -L, stunnel, Kubernetes
	// services) while what is behind them is away.
	ErrClosedBeforeGreeting = errors.New("closed before its greeting: away behind a forwarder?")
	// ErrClosedBeforeWelcome means that a CURVE server closed the connection instead of
	// sending WELCOME. A wrong server key has no other effect.
	ErrClosedBeforeWelcome = errors.New("closed before WELCOME: probably the wrong server key")
	// ErrClosedAfterWelcome means that a CURVE server closed the connection after WELCOME,
	// without ERROR.
	ErrClosedAfterWelcome = errors.New("closed after WELCOME, without ERROR")
	// ErrClosedDuringLogin means that the peer closed the connection before the handshake
	// was complete, where no other error says more: in NULL, PLAIN and BEARER after the
	// greeting, without ERROR, which means no more than try again (ZAP status 300).
	ErrClosedDuringLogin = errors.New("the peer closed the connection during the login")
	// ErrHandshakeTimeout means that the connection was made, but the handshake was not
	// complete in time.
	ErrHandshakeTimeout = errors.New("the handshake did not end in time")
	// ErrTooLarge is wrapped by errors about a frame, message or command beyond a limit.
	ErrTooLarge = errors.New("too large")
	// ErrUnreachable is wrapped by errors of Dial if no connection could be made:
	// connection refused, no route, unknown name, connect timeout.
	ErrUnreachable = errors.New("unreachable")
	// ErrSilent means that nothing arrived from the peer for longer than the heartbeat
	// allows.
	ErrSilent = errors.New("the peer is silent")
)

// RefusedError is a refused login: on a client side the server's ERROR command, on a server
// side the decision of the ZAP handler or of ServerSecurity.Admit.
type RefusedError struct {
	// Status is the status code of the ERROR command; 0 if the peer sent a reason that is
	// not a status code.
	Status zap.Status
	// Reason is at most 255 bytes: on a client side the peer's reason if it was not a
	// status code, on a server side a text for the log.
	Reason string
	// Err, on a server side, is the Cause of the ZAP reply; it may be nil.
	Err error
	// Authenticator, on a server side, is that of the ZAP reply; it may be empty.
	Authenticator string
	// Peer, on a server side, is the peer as far as it is known; it may be nil. Without a Reply
	// nothing about it is verified.
	Peer *Peer
}

// Unwrap returns Err.
func (e *RefusedError) Unwrap() error { return e.Err }

func (e *RefusedError) Error() string {
	switch {
	case e.Status != 0 && e.Reason != "":
		return fmt.Sprintf("login refused with status %d: %s", e.Status, e.Reason)
	case e.Status != 0:
		return fmt.Sprintf("login refused with status %d", e.Status)
	}
	return fmt.Sprintf("login refused: %q", e.Reason)
}

// MechanismError means that the two sides use different mechanisms.
type MechanismError struct {
	Want zap.Mechanism // of this side
	Got  zap.Mechanism // of the peer
}

func (e *MechanismError) Error() string {
	return fmt.Sprintf("want %s, peer speaks %s", e.Want, e.Got)
}

// SocketTypeError means that the socket types of the two sides do not go together
// (23/ZMTP, "The Socket-Type Property").
type SocketTypeError struct {
	Ours, Peer SocketType
}

func (e *SocketTypeError) Error() string {
	switch {
	case e.Peer == "":
		return fmt.Sprintf("a %s socket cannot talk to a peer that names no socket type", e.Ours)
	case !e.Peer.Valid(): // any bytes
		return fmt.Sprintf("a %s socket cannot talk to a peer of unknown type %.16q", e.Ours, string(e.Peer))
	}
	return fmt.Sprintf("a %s socket cannot talk to a %s peer", e.Ours, e.Peer)
}

// WriteError is an error of [Conn.Write] and says how much was sent.
type WriteError struct {
	// Written is how many of the messages, from the first, were passed to the system
	// completely. The peer may or may not have received these; it cannot have received
	// any other completely.
	Written int
	Err     error
}

func (e *WriteError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *WriteError) Unwrap() error { return e.Err }
