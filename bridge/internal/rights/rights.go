// Package rights says what a session may do on a route: which subscriptions it may make,
// which messages may be delivered to it and which it may send.
//
// A [Policy] is the rules of a route; [Policy.For] fills in who has logged in and gives
// its [Rights]. Rights of different sources, for instance the rules of the route and the
// scopes of a token, are combined by [And]: an action is allowed when every source allows
// it.
//
// # Patterns
//
// A pattern without a wildcard is a prefix, as a ZeroMQ subscription is: "house/1" allows
// house/1, house/1/kitchen and house/10; the empty pattern allows every topic.
//
// A pattern in which a whole level is "+", or the last level is "#", is matched level by
// level against the whole topic. "+" stands for exactly one level, which may be empty;
// "#" stands for the rest, however many levels, none included. So "house/+/temp" allows
// house/1/temp and neither house/1/temp/max nor house/temp; "house/#" is the prefix
// "house/"; "#" allows everything.
//
// {user}, {claim.NAME} and {meta.NAME} stand for the user name, for a claim of the token
// and for a property of the ZAP reply. A claim that is a list gives one pattern for each
// of its values. A value that is empty or holds a separator, a wildcard ("+", "#", "*") or
// NUL gives none. A pattern that ends in a placeholder ends with that level:
// "house/{user}" allows alice house/alice and house/alice/temp, but not house/alice2.
//
// Without a separator there are no levels: all patterns are prefixes, "+" and "#" are
// themselves, and placeholders are refused.
package rights

import (
	"context"
	"errors"
)

// ErrDenied is wrapped by every error that means "not allowed".
var ErrDenied = errors.New("not allowed")

// Rights is what one session may do on one route. Implementations are safe for
// concurrent use.
//
// An error that wraps [ErrDenied] refuses; any other says that no decision could be made,
// which must not be taken for a permission.
type Rights interface {
	// Subscribe decides on a subscription to all topics that begin with prefix. It is
	// asked once for each subscription and may wait for a network.
	Subscribe(ctx context.Context, prefix []byte) (Grant, error)

	// Deliver tells whether a message with this topic may go to the client. It is asked
	// for every message, unless every Grant said that no filter is needed; it neither
	// blocks nor allocates.
	Deliver(topic []byte) bool

	// Send decides on a message that the client sends. It may wait for a network.
	Send(ctx context.Context, topic []byte) error

	// Whole tells whether all topics are allowed, without exception, to receive and to send.
	// It neither blocks nor asks anybody: what is decided on elsewhere is not whole.
	Whole() (receive, send bool)
}

// Grant is a permission to subscribe.
type Grant struct {
	// Prefixes is what to subscribe to upstream: the very prefix that was asked for, or
	// where that was too wide the narrower ones. At least one; none is a prefix of
	// another. They may alias what was asked for.
	Prefixes [][]byte
	// Filter tells that the prefixes bring messages that may not be delivered, so that
	// Rights.Deliver has to be asked for each.
	Filter bool
}

// Everything allows everything: the rights on a route without rules.
var Everything Rights = everything{}

type everything struct{}

func (everything) Subscribe(_ context.Context, prefix []byte) (Grant, error) {
	return Grant{Prefixes: [][]byte{prefix}}, nil
}
func (everything) Deliver([]byte) bool                { return true }
func (everything) Send(context.Context, []byte) error { return nil }
func (everything) Whole() (receive, send bool)        { return true, true }

// And allows what all of sources allow, and everything if there are none. The sources are
// asked in the order given, each about what those before it have left: put those that
// answer from memory first.
func And(sources ...Rights) Rights {
	var all conjunction
	for _, s := range sources {
		switch s := s.(type) {
		case everything:
		case conjunction:
			all = append(all, s...)
		default:
			all = append(all, s)
		}
	}
	switch len(all) {
	case 0:
		return Everything
	case 1:
		return all[0]
	}
	return all
}

type conjunction []Rights

// Subscribe narrows the prefix by each source in turn. What a source denies of a narrowed
// list is left out; a list with nothing left is denied.
func (c conjunction) Subscribe(ctx context.Context, prefix []byte) (Grant, error) {
	granted := Grant{Prefixes: [][]byte{prefix}}
	for _, source := range c {
		var left [][]byte
		var denied error
		for _, p := range granted.Prefixes {
			g, err := source.Subscribe(ctx, p)
			switch {
			case errors.Is(err, ErrDenied):
				denied = err
				continue
			case err != nil:
				return Grant{}, err
			}
			left = append(left, g.Prefixes...)
			granted.Filter = granted.Filter || g.Filter
		}
		if len(left) == 0 {
			return Grant{}, denied
		}
		granted.Prefixes = left
	}
	return granted, nil
}

func (c conjunction) Deliver(topic []byte) bool {
	for _, source := range c {
		if !source.Deliver(topic) {
			return false
		}
	}
	return true
}

func (c conjunction) Send(ctx context.Context, topic []byte) error {
	for _, source := range c {
		if err := source.Send(ctx, topic); err != nil {
			return err
		}
	}
	return nil
}

func (c conjunction) Whole() (receive, send bool) {
	receive, send = true, true
	for _, source := range c {
		r, s := source.Whole()
		receive, send = receive && r, send && s
	}
	return receive, send
}
