package rights

import (
	"context"
	"errors"
)

// ErrDenied is wrapped by every error that means "not permitted".
var ErrDenied = errors.New("not permitted")

// Grant is what one source allows a login on one route. Implementations are safe for
// concurrent use.
//
// An error that wraps [ErrDenied] refuses. Any other error means that no decision could be
// made, which must not be taken for a permission.
type Grant interface {
	// Subscribe decides on a subscription to all topics that begin with prefix. It is called
	// once for each subscription and may wait for a network.
	Subscribe(ctx context.Context, prefix []byte) (Allowed, error)

	// Deliver reports whether a message with this topic may go to the client. It is called
	// for each message, unless the client's subscriptions need no filter, and neither blocks
	// nor allocates.
	Deliver(topic []byte) bool

	// Send decides on a message that the client sends. It may wait for a network.
	Send(ctx context.Context, topic []byte) error

	// Whole reports whether all topics are allowed, without exception, to receive and to
	// send. It does not block: what is decided elsewhere is not whole.
	Whole() (receive, send bool)
}

// Allowed is what a subscription may become. Its zero value is nothing.
type Allowed struct {
	// Prefixes are what to subscribe to upstream: the requested prefix, or narrower ones if
	// it was too wide. None is a prefix of another. They may alias what was requested.
	Prefixes [][]byte
	// Filter reports that the prefixes bring messages that may not be delivered, so that
	// Deliver has to be called for each.
	Filter bool
}

// Everything allows everything.
var Everything Grant = everything{}

type everything struct{}

func (everything) Subscribe(_ context.Context, prefix []byte) (Allowed, error) {
	return Allowed{Prefixes: [][]byte{prefix}}, nil
}
func (everything) Deliver([]byte) bool                { return true }
func (everything) Send(context.Context, []byte) error { return nil }
func (everything) Whole() (receive, send bool)        { return true, true }

// Rights are what a login may do on one route: what all of its grants allow. They are safe
// for concurrent use.
type Rights struct{ grants []Grant }

// Combine returns the rights that remain of grants; without grants everything is allowed.
// Each grant is asked, in the order given, about what those before it have left: put those
// first that answer from memory.
func Combine(grants ...Grant) *Rights {
	r := new(Rights)
	for _, g := range grants {
		if g != Everything {
			r.grants = append(r.grants, g)
		}
	}
	return r
}

// Unlimited reports that no grant restricts anything, so that none has to be asked.
func (r *Rights) Unlimited() bool { return len(r.grants) == 0 }

// Subscribe narrows prefix by each grant in turn. What a grant denies of several prefixes is
// left out; if nothing is left, the subscription is denied. Errors are those of [Grant].
func (r *Rights) Subscribe(ctx context.Context, prefix []byte) (Allowed, error) {
	allowed := Allowed{Prefixes: [][]byte{prefix}}
	for _, grant := range r.grants {
		var left [][]byte
		var denied error
		for _, p := range allowed.Prefixes {
			a, err := grant.Subscribe(ctx, p)
			switch {
			case errors.Is(err, ErrDenied):
				denied = err
				continue
			case err != nil:
				return Allowed{}, err
			}
			left = append(left, a.Prefixes...)
			allowed.Filter = allowed.Filter || a.Filter
		}
		if len(left) == 0 {
			return Allowed{}, denied
		}
		allowed.Prefixes = left
	}
	return allowed, nil
}

// Deliver reports whether a message with this topic may go to the client. It neither blocks
// nor allocates.
func (r *Rights) Deliver(topic []byte) bool {
	for _, grant := range r.grants {
		if !grant.Deliver(topic) {
			return false
		}
	}
	return true
}

// Send decides on a message that the client sends. It may wait for a network. Errors are
// those of [Grant].
func (r *Rights) Send(ctx context.Context, topic []byte) error {
	for _, grant := range r.grants {
		if err := grant.Send(ctx, topic); err != nil {
			return err
		}
	}
	return nil
}

// Whole reports whether all topics are allowed to receive and to send.
func (r *Rights) Whole() (receive, send bool) {
	receive, send = true, true
	for _, grant := range r.grants {
		mayReceive, maySend := grant.Whole()
		receive, send = receive && mayReceive, send && maySend
	}
	return receive, send
}
