package zws

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Code is a WebSocket close code: one of RFC 6455, section 7.4.1, or one of the private
// range as PROTOCOL.md defines it.
type Code int

// The close codes of connections.
const (
	CodeNormal         Code = 1000 // the client is done
	CodeGoingAway      Code = 1001 // the server shuts down
	CodeProtocol       Code = 1002 // the client broke the protocol
	CodeUnsupported    Code = 1003 // the client sent text instead of binary, or the reverse
	CodeNoStatus       Code = 1005 // the client closed without a code; never sent
	CodeAbnormal       Code = 1006 // the connection broke; never sent
	CodeNotUTF8        Code = 1007 // the client sent text that is not UTF-8
	CodeTooLarge       Code = 1009 // a message or command over its limit
	CodeInternal       Code = 1011 // a fault of the server
	CodeTemporary      Code = 4300 // the ZAP handler answered 300, failed or was too slow
	CodeRefused        Code = 4400 // the ZAP handler answered 400, or a login is missing
	CodeExpired        Code = 4401 // credentials expired, renewal refused, or kicked
	CodeForbidden      Code = 4403 // not allowed: route, topic, direction, plaintext
	CodeNoRoute        Code = 4404 // no such route
	CodeNotTaken       Code = 4406 // socket type, mechanism or subprotocol not accepted
	CodeTimeout        Code = 4408 // the client did not answer in time: handshake or pings
	CodeTakenOver      Code = 4409 // another connection of the same user took this routing id or queue
	CodeTooMany        Code = 4429 // too many connections, attempts or subscriptions
	CodeHandlerBroken  Code = 4500 // the ZAP handler answered 500
	CodeBackendRefused Code = 4502 // a backend refused the login
	CodeBackendLost    Code = 4503 // no backend can be reached
	CodeBackendTimeout Code = 4504 // a backend did not complete its handshake in time
	CodeTooSlow        Code = 4508 // the client does not read fast enough
)

// ErrPeerClosed is wrapped by the cause of a connection that the client ended, with a close
// frame or without.
var ErrPeerClosed = errors.New("closed by the client")

// CloseError is why a connection or a channel ended and what the other side is told: an
// ERROR command if Status is set and the client still waits for READY or WELCOME, then a
// close frame.
type CloseError struct {
	Code Code
	// Status is what an ERROR command carries: 400 or 500. 0 means that none is sent,
	// because the client may try again.
	Status zap.Status
	// Reason is sent in the close frame, cut to 123 bytes of UTF-8. It is for a person at
	// the other end and must not contain secrets or addresses.
	Reason string
	// RetryAfter is how long the client should wait before it tries again, in whole seconds
	// up to 600; 0 means that it decides itself. It is appended to the reason on the wire,
	// "; retry in 5s", and a page of ZWSJSON1.0 gets it as a number too. On a client side it
	// is the server's advice, which Reason also still contains.
	RetryAfter time.Duration
	// Err is what happened, for the log; nil if Reason says everything.
	Err error
}

// advicePattern matches the advice at the end of a reason (PROTOCOL.md, "Close codes").
var advicePattern = regexp.MustCompile(`; retry in ([1-9][0-9]?|[1-5][0-9]{2}|600)s$`)

// receivedClose returns what the server's close frame says.
func receivedClose(code Code, reason string) *CloseError {
	e := &CloseError{Code: code, Reason: reason}
	if m := advicePattern.FindStringSubmatch(reason); m != nil {
		seconds, _ := strconv.Atoi(m[1]) // matched: it is a number
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// RetryDelay returns how long a client should wait before it tries again: RetryAfter, and up
// to half as long in addition, at random, so that clients that were disconnected together do
// not come back together. It is 0 without RetryAfter, and if the code is final.
func (e *CloseError) RetryDelay() time.Duration {
	if e.RetryAfter <= 0 || e.Code.Final() {
		return 0
	}
	return e.RetryAfter + rand.N(e.RetryAfter/2+1)
}

// wireReason returns the reason with the advice when to try again, within 123 bytes.
func (e *CloseError) wireReason() string {
	if e.RetryAfter <= 0 {
		return wsframe.CutReason(e.Reason)
	}
	advice := fmt.Sprintf("; retry in %ds", e.retrySeconds())
	reason := strings.TrimSuffix(e.Reason, advice) // of an error that comes from another server
	reason = reason[:min(len(reason), wsframe.MaxReason-len(advice))]
	return wsframe.CutReason(strings.ToValidUTF8(reason, "") + advice)
}

// retrySeconds returns RetryAfter in seconds, 1 to 600.
func (e *CloseError) retrySeconds() int {
	return int(zap.Busy(e.RetryAfter).RetryAfter / time.Second)
}

func protocolError(reason string) *CloseError {
	return &CloseError{Code: CodeProtocol, Reason: reason}
}

// closeFrame returns the close frame for cause; without a code if it has one that is never
// sent.
func closeFrame(cause *CloseError) []byte {
	if cause.Code == CodeNoStatus || cause.Code == CodeAbnormal {
		return wsframe.AppendClose(nil, 0, "")
	}
	return wsframe.AppendClose(nil, uint16(cause.Code), cause.wireReason())
}

func (e *CloseError) Error() string {
	text := strconv.Itoa(int(e.Code))
	if e.Reason != "" {
		text += " " + e.Reason
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *CloseError) Unwrap() error { return e.Err }

// Final reports whether it is useless to try again with the same credentials.
func (c Code) Final() bool {
	switch c {
	case CodeProtocol, CodeUnsupported, CodeNotUTF8, CodeTooLarge, CodeRefused, CodeExpired, CodeForbidden, CodeNoRoute,
		CodeNotTaken, CodeTakenOver, CodeHandlerBroken, CodeBackendRefused:
		return true
	}
	return false
}

// Cause translates any error into what a client is told. A *CloseError in err's chain is the
// answer; next come errors of packages zmtp and zap, and those that Accept returns without an
// upgrade. Unknown errors are internal, 1011, and the client does not learn their text. nil is
// a normal end.
func Cause(err error) *CloseError {
	if err == nil {
		return &CloseError{Code: CodeNormal}
	}
	if cause, ok := errors.AsType[*CloseError](err); ok {
		return cause
	}
	if refused, ok := errors.AsType[*zmtp.RefusedError](err); ok {
		return refusedCause(refused.Status, err)
	}
	if wrong, ok := errors.AsType[*zmtp.SocketTypeError](err); ok {
		return &CloseError{Code: CodeNotTaken, Status: zap.Refused, Reason: fmt.Sprintf("this route does not serve %s sockets", wrong.Peer), Err: err}
	}
	if _, wrong := errors.AsType[websocket.HandshakeError](err); wrong || errors.Is(err, errNotHandshake) {
		return &CloseError{Code: CodeProtocol, Reason: "not a WebSocket handshake", Err: err}
	}
	switch {
	case errors.Is(err, ErrOrigin):
		return &CloseError{Code: CodeForbidden, Status: zap.Refused, Reason: originText, Err: err}
	case errors.Is(err, zmtp.ErrTooLarge):
		return &CloseError{Code: CodeTooLarge, Reason: "too large", Err: err}
	case errors.Is(err, zmtp.ErrProtocol):
		// The text only says what the client did wrong.
		return &CloseError{Code: CodeProtocol, Reason: err.Error()}
	case errors.Is(err, zmtp.ErrHandshakeTimeout):
		return &CloseError{Code: CodeTimeout, Reason: "the handshake was not completed in time", Err: err}
	case errors.Is(err, context.Canceled):
		return &CloseError{Code: CodeGoingAway, Reason: "shutting down", Err: err}
	}
	return &CloseError{Code: CodeInternal, Reason: "internal error", Err: err}
}

// refusedCause is what a client is told when the ZAP handler refused the login. The
// handler's own text only goes to the log.
func refusedCause(status zap.Status, err error) *CloseError {
	switch status {
	case zap.Temporary:
		if busy, ok := errors.AsType[*zap.BusyError](err); ok {
			return &CloseError{Code: CodeTemporary, Reason: "too many logins at the same time", RetryAfter: busy.RetryAfter, Err: err}
		}
		return &CloseError{Code: CodeTemporary, Reason: "the login cannot be checked at present: try again later", Err: err}
	case zap.Internal:
		return &CloseError{Code: CodeHandlerBroken, Status: zap.Internal, Reason: "logins are not possible: the ZAP handler of the server is broken", Err: err}
	}
	return &CloseError{Code: CodeRefused, Status: zap.Refused, Reason: "login refused", Err: err}
}
