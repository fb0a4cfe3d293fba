package zap

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Version is the protocol version that every request and reply carries (27/ZAP).
const Version = "1.0"

// Mechanism is the kind of credentials in a request, by its name on the wire. NULL, PLAIN and
// CURVE are those of 27/ZAP, BEARER is that of 45/ZWS, TLS is specific to this package.
type Mechanism string

// The mechanisms, and the credential frames of each.
const (
	NULL   Mechanism = "NULL"   // none
	PLAIN  Mechanism = "PLAIN"  // user name, password
	CURVE  Mechanism = "CURVE"  // the client's long-term public key, 32 bytes
	BEARER Mechanism = "BEARER" // the token
	TLS    Mechanism = "TLS"    // the verified client certificate, DER
)

// Status is the status code of a reply.
type Status int

// The status codes of 27/ZAP. A reply with any other code is malformed.
const (
	OK        Status = 200 // accepted
	Temporary Status = 300 // no decision could be made: try again later
	Refused   Status = 400 // refused: retrying with the same credentials will not help
	Internal  Status = 500 // the handler is broken: retrying will not help
)

// Valid reports whether s is one of the four codes of 27/ZAP.
func (s Status) Valid() bool {
	return s == OK || s == Temporary || s == Refused || s == Internal
}

// Request asks whether a peer may connect. A handler must not change it.
type Request struct {
	// ID pairs a reply with its request on the wire. Requests within the process need
	// none.
	ID string
	// Domain is the ZAP domain, which selects the rules that apply. The bridge never makes
	// a request with an empty domain.
	Domain string
	// Address is the peer's IP address as text, without port or zone; empty on ipc.
	Address string
	// RoutingID is the routing id that the peer has chosen (the "identity" of 27/ZAP);
	// empty if the mechanism authenticates before the peer's metadata is known.
	RoutingID []byte
	// Mechanism determines the content of Credentials.
	Mechanism Mechanism
	// Credentials are the frames of the mechanism. They are secrets and must not be logged.
	Credentials [][]byte
}

// clone returns a deep copy.
func (r *Request) clone() *Request {
	c := *r
	c.RoutingID = slices.Clone(r.RoutingID)
	c.Credentials = make([][]byte, len(r.Credentials))
	for i, frame := range r.Credentials {
		c.Credentials[i] = slices.Clone(frame)
	}
	return &c
}

// Plain returns the user name and the password of a PLAIN request; ok is false if the
// request is of another mechanism or malformed.
func (r *Request) Plain() (user, password string, ok bool) {
	if r.Mechanism != PLAIN || len(r.Credentials) != 2 {
		return "", "", false
	}
	return string(r.Credentials[0]), string(r.Credentials[1]), true
}

// Reply is a handler's decision.
type Reply struct {
	Status Status
	// Text is the reason, for the log. It is never sent to the peer.
	Text string
	// UserID is the user that a 200 accepts; empty for an anonymous user.
	UserID string
	// Metadata describes the user. The bridge reads Subscribe, Send, Expires and Tags.
	Metadata Metadata
	// Cause, if not nil, is the reason in a form that a caller in the same process may act
	// on, for instance too many failures. It has no wire form.
	Cause error
	// Authenticator is the name of the [Chain] entry that decided; empty if none did. It
	// has no wire form.
	Authenticator string
	// Basis is whatever the handler needs in order to tell later whether the login is still
	// valid, see [Revoker]. It is private to that handler and has no wire form.
	Basis any
	// Claims are the claims of a token by name. Members of a claim that is an object have
	// dotted names. They have no wire form.
	Claims map[string][]string
	// Grants limit what the login may do: one for each handler or authorizer that has a
	// say in it. An action needs the consent of all of them. Without grants there is no
	// limit. They have no wire form.
	Grants []Grant
}

// Handler decides on requests. Implementations are safe for concurrent use.
//
// A returned reply is the decision. [ErrPass] means that these credentials are not for this
// handler: another mechanism, an unknown user, another domain; a chain then asks its next
// entry. Any other error means that no decision could be made and counts as status 300.
//
// A handler returns when ctx is done. A reply may be shared by several logins, so nobody may
// change one after it was returned. A handler must not keep the request or its bytes after
// Authenticate has returned.
type Handler interface {
	Authenticate(ctx context.Context, req *Request) (*Reply, error)
}

// HandlerFunc makes a function a [Handler].
type HandlerFunc func(ctx context.Context, req *Request) (*Reply, error)

// Authenticate calls f.
func (f HandlerFunc) Authenticate(ctx context.Context, req *Request) (*Reply, error) {
	return f(ctx, req)
}

// Authorizer examines a login that an authenticator has accepted. A nil error accepts it,
// [ErrDenied] refuses it with status 400, and any other error means that no decision could be
// made, status 300. It may append to the reply's Grants and must not change anything else.
// Implementations are safe for concurrent use.
type Authorizer interface {
	Authorize(ctx context.Context, req *Request, reply *Reply) error
}

var (
	// ErrPass is returned, or wrapped with a reason, by a handler that leaves the decision
	// to the next one.
	ErrPass = errors.New("zap: not for this handler to decide")
	// ErrDenied is returned, or wrapped with a reason, by an authorizer that refuses.
	ErrDenied = errors.New("zap: denied")
)

// PassError is an [ErrPass] with a reason, and with work that hides the reason.
type PassError struct {
	// Reason is for the log. It must not contain anything that the peer sent: an unknown
	// user name may be a password in the wrong field.
	Reason string
	// Work, if not nil, takes as long as a refusal by this handler. A caller that turns the
	// pass into a refusal does it first, once, however many handlers passed, so that the
	// response time does not tell an unknown user from a wrong password.
	Work func(ctx context.Context) error
}

func (e *PassError) Error() string { return "not for this handler to decide: " + e.Reason }

// Is reports whether target is [ErrPass].
func (e *PassError) Is(target error) bool { return target == ErrPass }

// Pass returns a [PassError] without work. Its reason is formatted as by fmt.Sprintf.
func Pass(format string, args ...any) error {
	return &PassError{Reason: fmt.Sprintf(format, args...)}
}

// Decide asks h and always returns a usable reply. It fails closed: a missing handler and a
// panic give status 500, [ErrPass] gives 400, and any other error, no reply, a reply with an
// invalid status or one that comes after ctx has ended give 300.
func Decide(ctx context.Context, h Handler, req *Request) *Reply {
	reply, err := ask(ctx, h, req)
	if errors.Is(err, ErrPass) {
		return refuse(ctx, err)
	}
	if err != nil {
		return undecided(err)
	}
	return reply
}

// undecided returns the reply for an error.
func undecided(err error) *Reply {
	return &Reply{Status: Temporary, Text: err.Error(), Cause: err}
}

// ask calls h. It returns an error, or a reply with a valid status that came in time.
func ask(ctx context.Context, h Handler, req *Request) (reply *Reply, err error) {
	if h == nil {
		return &Reply{Status: Internal, Text: "no ZAP handler"}, nil
	}
	defer func() {
		if p := recover(); p != nil {
			reply, err = &Reply{Status: Internal, Text: fmt.Sprintf("ZAP handler panicked: %v", p)}, nil
		}
	}()
	reply, err = h.Authenticate(ctx, req)
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil:
		return nil, fmt.Errorf("ZAP handler replied too late: %w", context.Cause(ctx))
	case reply == nil:
		return nil, errors.New("ZAP handler returned no reply")
	case !reply.Status.Valid():
		return nil, fmt.Errorf("ZAP handler returned status %d, want 200, 300, 400 or 500", reply.Status)
	}
	return reply, nil
}

// refuse turns a pass into a refusal, after doing its work.
func refuse(ctx context.Context, pass error) *Reply {
	var p *PassError
	if errors.As(pass, &p) && p.Work != nil {
		if err := p.Work(ctx); err != nil {
			return undecided(err)
		}
	}
	return &Reply{Status: Refused, Text: pass.Error()}
}
