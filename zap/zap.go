package zap

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Version is the protocol version that every request and reply carries (27/ZAP).
const Version = "1.0"

// Mechanism names the kind of credentials that a request carries, in the words of the
// wire. NULL, PLAIN and CURVE are those of 27/ZAP; BEARER is 45/ZWS's; TLS is ours.
type Mechanism string

// The mechanisms, and the credential frames of each.
const (
	NULL   Mechanism = "NULL"   // none
	PLAIN  Mechanism = "PLAIN"  // user name, password
	CURVE  Mechanism = "CURVE"  // the client's long-term public key, 32 octets
	BEARER Mechanism = "BEARER" // the token
	TLS    Mechanism = "TLS"    // the verified client certificate, DER
)

// Status is the status code of a reply.
type Status int

// The status codes that 27/ZAP knows; a reply with another is malformed.
const (
	OK        Status = 200 // let in
	Temporary Status = 300 // no decision could be made: try again later
	Refused   Status = 400 // not let in: trying again with the same credentials is no use
	Internal  Status = 500 // the handler is broken: trying again is no use
)

// Valid tells whether s is one of the four codes that 27/ZAP knows.
func (s Status) Valid() bool {
	return s == OK || s == Temporary || s == Refused || s == Internal
}

// Request asks whether a peer may come in. A handler must not change it.
type Request struct {
	// ID relates a reply to its request on the wire. Requests that stay in the
	// process need none.
	ID string
	// Domain is the ZAP domain: which set of rules applies. Never empty in a request
	// that the bridge makes.
	Domain string
	// Address is the peer's IP address as text, without port or zone; empty on ipc.
	Address string
	// RoutingID is what the peer calls itself (the "identity" of 27/ZAP); empty where
	// the mechanism asks before the peer's metadata is known.
	RoutingID []byte
	// Mechanism tells what Credentials holds.
	Mechanism Mechanism
	// Credentials are the frames that the mechanism prescribes. They are secrets: they
	// are never logged.
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
	// Text says why, for the log of whoever asked. It is never sent to the peer.
	Text string
	// UserID names the user that a 200 let in; empty for an anonymous one.
	UserID string
	// Metadata is what the handler tells about the user. The bridge reads Subscribe,
	// Send, Expires and Tags from it.
	Metadata Metadata
	// Cause, if not nil, says why in a form that a caller in the same process may act
	// on, for instance too many attempts. It has no wire form.
	Cause error
	// Authenticator is the name of the [Chain]'s entry that decided; empty if none did.
	// It has no wire form.
	Authenticator string
	// Basis is what whoever decided wants to see again when it is asked whether the login
	// still stands, see [Revoker]. It belongs to that handler and has no wire form.
	Basis any
	// Claims are what a token tells about its user, by name; the members of a claim that
	// is an object have dotted names. They have no wire form.
	Claims map[string][]string
	// Rights are what the login may do, one for each who decided on it and knows about
	// that; an action is allowed if all of them allow it. Without any, nobody has said
	// anything. They have no wire form.
	Grants []Grant
}

// Handler decides on requests. Implementations are safe for concurrent use.
//
// A returned reply is the decision. [ErrPass] says that these credentials are not this
// handler's to judge: another kind, an unknown user, another domain; a chain then asks
// its next entry. Any other error says that no decision could be made, which counts as
// status 300. A handler gives up when ctx is done. Replies may be shared by several
// logins: nobody changes one that was returned. The octets of a request belong to its
// maker again once Authenticate has returned.
type Handler interface {
	Authenticate(ctx context.Context, req *Request) (*Reply, error)
}

// HandlerFunc makes a function a [Handler].
type HandlerFunc func(ctx context.Context, req *Request) (*Reply, error)

// Authenticate calls f.
func (f HandlerFunc) Authenticate(ctx context.Context, req *Request) (*Reply, error) {
	return f(ctx, req)
}

// Authorizer looks at a login that an authenticator has accepted. A nil error agrees;
// [ErrDenied] refuses it with 400; any other error says that no decision could be made,
// which counts as 300. It may append to the reply's Rights, and changes nothing else of it.
// Implementations are safe for concurrent use.
type Authorizer interface {
	Authorize(ctx context.Context, req *Request, reply *Reply) error
}

var (
	// ErrPass is returned, or wrapped with the reason, by a handler that leaves the
	// decision to the next one.
	ErrPass = errors.New("zap: not for this handler to decide")
	// ErrDenied is returned, or wrapped with the reason, by an authorizer that refuses.
	ErrDenied = errors.New("zap: denied")
)

// PassError is an [ErrPass] with a reason, and with work that hides it.
type PassError struct {
	// Reason is for the log. It holds nothing that the peer sent: what is not a known
	// user's name may be a password in the wrong field.
	Reason string
	// Work, if not nil, takes as long as a refusal of this handler takes. Whoever makes a
	// refusal of the pass does it first, so that the time does not tell an unknown user
	// from a wrong password, and does it once, however many handlers passed.
	Work func(ctx context.Context) error
}

func (e *PassError) Error() string { return "not for this handler to decide: " + e.Reason }

// Is makes a PassError an [ErrPass].
func (e *PassError) Is(target error) bool { return target == ErrPass }

// Pass returns a [PassError] without work.
func Pass(format string, args ...any) error {
	return &PassError{Reason: fmt.Sprintf(format, args...)}
}

// Decide asks h and always returns a reply that can be acted on. It fails closed: no
// handler and a panic count as 500, ErrPass counts as 400, any other error, no reply and
// a context that ended count as 300, and so does a reply whose status 27/ZAP does not know.
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

// undecided is the reply that an error stands for.
func undecided(err error) *Reply {
	return &Reply{Status: Temporary, Text: err.Error(), Cause: err}
}

// ask calls h. What it returns is an error, or a reply with a status of 27/ZAP that came
// in time.
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
		return nil, fmt.Errorf("ZAP handler answered too late: %w", context.Cause(ctx))
	case reply == nil:
		return nil, errors.New("ZAP handler gave no reply")
	case !reply.Status.Valid():
		return nil, fmt.Errorf("ZAP handler answered %d, which is not 200, 300, 400 or 500", reply.Status)
	}
	return reply, nil
}

// refuse makes a refusal of a pass, after the work that it asks for.
func refuse(ctx context.Context, pass error) *Reply {
	var p *PassError
	if errors.As(pass, &p) && p.Work != nil {
		if err := p.Work(ctx); err != nil {
			return undecided(err)
		}
	}
	return &Reply{Status: Refused, Text: pass.Error()}
}
