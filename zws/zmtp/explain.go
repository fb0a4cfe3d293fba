package zmtp

import (
	"errors"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// ExplainProperty is the name of a metadata property, with any value, by which a client asks a
// server of this package to say in its ERROR that the socket types do not go together. The error
// of the client side then wraps a [*SocketTypeError] besides the [*RefusedError] with status 400.
// Without it the ERROR carries the status alone, because libzmq takes anything else for a
// protocol error.
const ExplainProperty = "X-Explain"

// typeReason begins the reason of an ERROR that names the socket type of the server.
const typeReason = "Socket-Type:"

// explain returns the ERROR for err if err is about socket types and the client has asked for
// an explanation, otherwise nil.
func (s *server) explain(err error) *Command {
	wrong, ok := errors.AsType[*SocketTypeError](err)
	if !ok || s.peer.Metadata.Get(ExplainProperty) == "" {
		return nil
	}
	reason := typeReason + string(wrong.Ours)
	return &Command{Name: s.errorName, Data: append([]byte{byte(len(reason))}, reason...)}
}

// explained returns the error of a client side of type ours, with what the ERROR of the server
// explains.
func explained(err error, ours SocketType) error {
	if refusal, ok := errors.AsType[*RefusedError](err); ok && refusal.Status == 0 {
		if theirs, ok := strings.CutPrefix(refusal.Reason, typeReason); ok {
			return &refusedTypeError{SocketTypeError{Ours: ours, Peer: SocketType(theirs)}}
		}
	}
	return err
}

// refusedTypeError is a mismatch that the server has found.
type refusedTypeError struct{ mismatch SocketTypeError }

func (e *refusedTypeError) Error() string { return e.mismatch.Error() }

func (e *refusedTypeError) Unwrap() []error {
	return []error{&e.mismatch, &RefusedError{Status: zap.Refused}}
}
