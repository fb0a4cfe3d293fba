package route

import (
	"context"
	"errors"
	"fmt"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Rights are what a login may do on a route: what remains after all sources are combined.
type Rights struct {
	*rights.Rights
	// Rules and Login are those that the rights were computed from.
	Rules *Rules
	Login *zws.Login
}

// Rights combines everything that has a say in what a login may do: the route's rules, the
// metadata of the ZAP reply, and the grants of the authenticators. The error is a
// *[zws.CloseError].
func (r *Rules) Rights(ctx context.Context, l *zws.Login) (*Rights, error) {
	granted, err := rights.FromMetadata(l.Reply.Metadata, r.patterns)
	if err != nil {
		return nil, Denied(err)
	}
	sources := []rights.Grant{granted}
	if r.policy != nil {
		allowed, err := r.policy.For(rights.Subject{User: l.User(), Claims: l.Reply.Claims, Meta: l.Reply.Metadata})
		if err != nil {
			return nil, Denied(err)
		}
		if allowed.Empty() {
			return nil, forbidden(noRule(l.User()))
		}
		sources = append(sources, allowed)
	}
	for _, grant := range l.Reply.Grants {
		access, err := grant.On(ctx, r.Options.Domain, r.name)
		if err != nil {
			return nil, Denied(err)
		}
		if !mayAttach(r.socket, access) {
			return nil, forbidden("not permitted: your login does not grant the use of this route")
		}
		sources = append(sources, r.granted(access))
	}
	all := rights.Combine(sources...)
	if r.relay {
		if all, err = wholeRights(r.socket, all); err != nil {
			return nil, err
		}
	}
	return &Rights{Rights: all, Rules: r, Login: l}, nil
}

// maxUserInReason bounds a user name in a close reason, which has 123 bytes in all.
const maxUserInReason = 60

func noRule(user string) string {
	if user == "" {
		return "not permitted: no rule of this route names anonymous clients"
	}
	return fmt.Sprintf("not permitted: no rule of this route names user %.*q", maxUserInReason, user)
}

// granted returns an access as rights on this route.
func (r *Rules) granted(a zap.Access) rights.Grant {
	if a.Topics != nil {
		return perTopic{a}
	}
	var receive, send []zap.Glob
	if a.Read {
		receive = a.Receive
	}
	if a.Write {
		send = a.Send
	}
	return rights.NewGlobs(receive, send, r.patterns.Narrow)
}

// mayAttach reports whether a login with this access may open a route with this socket.
// Clients that get what others publish, push or request need to read: by topic only where
// clients subscribe, as RabbitMQ checks no topic when a queue is consumed. Clients that only
// send need to write. A reply belongs to its request, so on DEALER and REQ routes either
// right will do.
func mayAttach(socket zmtp.SocketType, a zap.Access) bool {
	switch socket {
	case zmtp.PUSH, zmtp.PUB, zmtp.XPUB:
		return a.Write
	case zmtp.DEALER, zmtp.REQ:
		return a.Read || a.Write
	}
	return a.Read
}

// wholeRights returns the rights of a login on a relay, where no message can be checked:
// everything that the socket can do, or an error.
func wholeRights(socket zmtp.SocketType, granted *rights.Rights) (*rights.Rights, error) {
	receive, send := granted.Whole()
	needsReceive, needsSend := rights.RelayNeeds(socket)
	if needsReceive && !receive || needsSend && !send {
		return nil, forbidden("your rights here are not for all topics, and a relay cannot check topics")
	}
	return rights.Combine(), nil
}

// Denied returns what the client is told about an error of package rights.
func Denied(err error) error {
	if errors.Is(err, rights.ErrDenied) {
		return forbidden(err.Error())
	}
	return &zws.CloseError{Code: zws.CodeTemporary, Reason: "your rights cannot be checked at present: try again later", Err: err}
}

// perTopic are the rights of a login for which an authenticator decides on each topic.
type perTopic struct{ zap.Access }

// Subscribe implements rights.Grant. What begins with an allowed prefix is allowed.
func (p perTopic) Subscribe(ctx context.Context, prefix []byte) (rights.Allowed, error) {
	if !p.Read {
		return rights.Allowed{}, fmt.Errorf("%w: receiving on this route", rights.ErrDenied)
	}
	if err := p.Topics.Receive(ctx, prefix); err != nil {
		return rights.Allowed{}, withoutCause(err, "subscribing to this topic")
	}
	return rights.Allowed{Prefixes: [][]byte{prefix}}, nil
}

// Deliver implements rights.Grant. The authenticator is not asked about messages: a
// subscription covers them, and what comes without one is the route's to give.
func (p perTopic) Deliver([]byte) bool { return p.Read }

// Send implements rights.Grant.
func (p perTopic) Send(ctx context.Context, topic []byte) error {
	if !p.Write {
		return fmt.Errorf("%w: sending on this route", rights.ErrDenied)
	}
	return withoutCause(p.Topics.Send(ctx, topic), "sending to this topic")
}

// Whole implements rights.Grant: nobody can be asked about all topics.
func (p perTopic) Whole() (receive, send bool) { return false, false }

// withoutCause keeps from the client why an authenticator has refused.
func withoutCause(err error, what string) error {
	if errors.Is(err, zap.ErrDenied) {
		return fmt.Errorf("%w: %s", rights.ErrDenied, what)
	}
	return err
}
