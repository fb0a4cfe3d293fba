package backend

import (
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// ErrClosed: the socket was closed.
var ErrClosed = errors.New("backend: socket closed")

// What a client may not do with a socket. Each wraps [zmtp.ErrProtocol].
var (
	// ErrCannotSend: the socket type only receives.
	ErrCannotSend = fmt.Errorf("%w: this socket type does not send messages", zmtp.ErrProtocol)
	// ErrEnvelope: a message lacks what 28/REQREP prescribes: a request its delimiter in
	// front, an answer its delimiter, a ROUTER's message its routing id.
	ErrEnvelope = fmt.Errorf("%w: message without delimiter or routing id", zmtp.ErrProtocol)
	// ErrLockStep: a REQ sent before the reply came, or a REP before it was asked.
	ErrLockStep = fmt.Errorf("%w: not this socket's turn to send", zmtp.ErrProtocol)
)

// code is what a client would be told about err; package zws knows.
func code(err error) zws.Code { return zws.Cause(err).Code }

// refused tells that an endpoint is not to be tried again: anything but an endpoint that
// was not reached or did not answer in time.
func refused(err *zws.BackendError) bool { return code(err) == zws.CodeBackendRefused }
