package backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// ErrClosed reports that the socket was closed.
var ErrClosed = errors.New("backend: socket closed")

// Errors for what a client may not do with a socket. Each wraps [zmtp.ErrProtocol].
var (
	// ErrCannotSend reports that the socket type only receives.
	ErrCannotSend = fmt.Errorf("%w: this socket type does not send messages", zmtp.ErrProtocol)
	// ErrCannotSubscribe reports that the socket is not a SUB or XSUB.
	ErrCannotSubscribe = fmt.Errorf("%w: this socket type does not subscribe", zmtp.ErrProtocol)
	// ErrEnvelope reports a message without what 28/REQREP prescribes: the delimiter in
	// front of a request or in a reply, the routing id of a message to a ROUTER.
	ErrEnvelope = fmt.Errorf("%w: message without delimiter or routing id", zmtp.ErrProtocol)
	// ErrLockStep reports a REP that sent before a request came.
	ErrLockStep = fmt.Errorf("%w: not this socket's turn to send", zmtp.ErrProtocol)
)

// Kind says what happened to a backend.
type Kind int

// The kinds of [Error].
const (
	// KindRefused means that it refused the login, or does not speak what the bridge speaks:
	// somebody has to put that right. Errors that are not understood are of this kind.
	KindRefused Kind = iota
	// KindUnreachable means that nothing answered at its address, that no inbound backend is
	// connected, or that what answered closed the connection too early to mean a refusal.
	KindUnreachable
	// KindTimeout means that it did not complete the handshake in time.
	KindTimeout
	// KindLost means that a [Relay] lost it after the handshake.
	KindLost
	// KindCanceled means that the attempt was given up.
	KindCanceled
)

// Error is what happened to a backend.
type Error struct {
	// Position is the backend's among the endpoints, from 1; 0 if the error is about none
	// in particular.
	Position int
	Kind     Kind
	// Err is the cause. It may hold addresses. Never nil.
	Err error
}

// newError classifies err, which ended an attempt to connect.
func newError(position int, err error) *Error { return &Error{position, kindOf(err), err} }

func kindOf(err error) Kind {
	_, refused := errors.AsType[*zmtp.RefusedError](err)
	_, mechanism := errors.AsType[*zmtp.MechanismError](err)
	_, socketType := errors.AsType[*zmtp.SocketTypeError](err)
	switch {
	case refused, mechanism, socketType:
		return KindRefused
	case errors.Is(err, zmtp.ErrUnreachable), errors.Is(err, zmtp.ErrClosedBeforeGreeting), errors.Is(err, zmtp.ErrClosedDuringLogin):
		return KindUnreachable
	case errors.Is(err, zmtp.ErrHandshakeTimeout), errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.Is(err, context.Canceled):
		return KindCanceled
	}
	return KindRefused
}

func (e *Error) Error() string { return e.Backend() + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Backend names the backend without its address: "backend 2", or "backend" for position 0.
func (e *Error) Backend() string {
	if e.Position == 0 {
		return "backend"
	}
	return fmt.Sprintf("backend %d", e.Position)
}

// Status returns the status for an ERROR command that passes the error on to a client: the
// backend's own if it sent one, else 400. It is 0 if the backend has not refused, since the
// client may try again then.
func (e *Error) Status() zap.Status {
	if e.Kind != KindRefused {
		return 0
	}
	refused, ok := errors.AsType[*zmtp.RefusedError](e.Err)
	if !ok || refused.Status == zap.OK || !refused.Status.Valid() {
		return zap.Refused
	}
	return refused.Status
}
