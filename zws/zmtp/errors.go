package zmtp

import (
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

var (
	// ErrProtocol is wrapped by every error about octets that the protocol does not allow.
	ErrProtocol = errors.New("protocol error")
	// ErrNotZMTP: what answered does not speak ZMTP.
	ErrNotZMTP = errors.New("the peer does not speak ZMTP")
	// ErrVersion: the peer speaks a ZMTP older than 3.0.
	ErrVersion = errors.New("the peer speaks a ZMTP older than 3.0")
	// ErrClosedBeforeWelcome: a CURVE server closed the connection where its WELCOME was
	// due, which is all that a wrong server key brings.
	ErrClosedBeforeWelcome = errors.New("closed before WELCOME: probably the wrong server key")
	// ErrClosedDuringLogin: the peer closed the connection before the handshake ended.
	ErrClosedDuringLogin = errors.New("the peer closed the connection during the login")
	// ErrHandshakeTimeout: connected, but the handshake did not end in time.
	ErrHandshakeTimeout = errors.New("the handshake did not end in time")
	// ErrTooLarge is wrapped by errors about a frame, message or command over a limit.
	ErrTooLarge = errors.New("too large")
	// ErrUnreachable is wrapped by errors of Dial that mean that nobody answered:
	// refused connection, no route, unknown name, no answer in time.
	ErrUnreachable = errors.New("unreachable")
	// ErrSilent: nothing arrived from the peer for longer than the heartbeat allows.
	ErrSilent = errors.New("the peer has fallen silent")
)

// RefusedError is a refused login: on a client side the ERROR command of the server, on a
// server side the decision to send one.
type RefusedError struct {
	// Status is the code that the ERROR carried or is to carry; 0 if the peer gave a
	// reason that is no status code.
	Status zap.Status
	// Reason is the peer's own text if it was no status code, or on a server side what
	// the log should know. At most 255 octets.
	Reason string
	// Err, on a server side, is the Cause of the ZAP reply, if it had one.
	Err error
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

// MechanismError: the two sides speak different mechanisms.
type MechanismError struct {
	Want zap.Mechanism // ours
	Got  zap.Mechanism // the peer's
}

func (e *MechanismError) Error() string {
	return fmt.Sprintf("want %s, peer speaks %s", e.Want, e.Got)
}

// SocketTypeError: the peer's socket type may not talk to ours.
type SocketTypeError struct {
	Ours, Peer SocketType
}

func (e *SocketTypeError) Error() string {
	switch {
	case e.Peer == "":
		return fmt.Sprintf("a %s socket may not talk to a peer that names no socket type", e.Ours)
	case !e.Peer.Valid(): // any octets
		return fmt.Sprintf("a %s socket may not talk to the peer's, which it calls %.16q", e.Ours, string(e.Peer))
	}
	return fmt.Sprintf("a %s socket may not talk to the peer's %s", e.Ours, e.Peer)
}

// WriteError is why Write failed and how far it got.
type WriteError struct {
	// Written is how many of the messages, from the first, were handed to the system
	// whole. The peer may or may not have got them; the others it cannot have got whole.
	Written int
	Err     error
}

func (e *WriteError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *WriteError) Unwrap() error { return e.Err }
