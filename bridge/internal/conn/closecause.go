package conn

import (
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// closeCause returns what a client is told about err: a *zws.CloseError if a *backend.Error
// is the cause, else err as it is, which zws.Cause understands.
func closeCause(err error) error {
	if _, ok := errors.AsType[*zws.CloseError](err); ok {
		return err
	}
	if e, ok := errors.AsType[*backend.Error](err); ok {
		return backendCause(e)
	}
	return err
}

// backendCause chooses close code and reason. The reason names the backend's position and no
// address.
func backendCause(e *backend.Error) *zws.CloseError {
	name := e.Backend()
	switch e.Kind {
	case backend.KindUnreachable:
		if e.Position == 0 { // peers connect to us, and none has
			return &zws.CloseError{Code: zws.CodeBackendLost, Reason: "no backend is connected", Err: e}
		}
		return &zws.CloseError{Code: zws.CodeBackendLost, Reason: name + " cannot be reached" + hangUp(e), Err: e}
	case backend.KindLost:
		return &zws.CloseError{Code: zws.CodeBackendLost, Reason: name + " was lost: log in there again", Err: e}
	case backend.KindTimeout:
		return &zws.CloseError{Code: zws.CodeBackendTimeout, Reason: name + " did not answer the login in time", Err: e}
	case backend.KindCanceled:
		return &zws.CloseError{Code: zws.CodeGoingAway, Reason: "shutting down", Err: e}
	}
	return &zws.CloseError{Code: zws.CodeBackendRefused, Status: e.Status(), Reason: refusalReason(name, e), Err: e}
}

// hangUp says how a backend that was not reached has answered; empty if it has not.
func hangUp(e *backend.Error) string {
	for _, known := range []error{zmtp.ErrClosedBeforeGreeting, zmtp.ErrClosedDuringLogin} {
		if errors.Is(e, known) {
			return ": " + known.Error()
		}
	}
	return ""
}

// refusalReason says why a backend has refused. The backend's own text goes to the log only.
func refusalReason(name string, e *backend.Error) string {
	if _, ok := errors.AsType[*zmtp.RefusedError](e); ok {
		return name + fmt.Sprintf(" refused the login (%d)", e.Status())
	}
	if wrong, ok := errors.AsType[*zmtp.MechanismError](e); ok {
		return name + ": " + wrong.Error()
	}
	if wrong, ok := errors.AsType[*zmtp.SocketTypeError](e); ok {
		return name + ": " + wrong.Error()
	}
	for _, known := range []error{zmtp.ErrClosedBeforeWelcome, zmtp.ErrClosedAfterWelcome, zmtp.ErrClosedDuringLogin, zmtp.ErrNotZMTP, zmtp.ErrVersion} {
		if errors.Is(e, known) {
			return name + ": " + known.Error()
		}
	}
	return name + " did not accept the login"
}
