package bridge

import (
	"context"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// privileges are what a login may do on the route: what everybody allows who has a say in
// that, which is the route's rules, the metadata of the ZAP reply, and those who let the
// login in and know about rights.
func (r *rules) privileges(ctx context.Context, l *zws.Login) (*privileges, error) {
	granted, err := rights.FromMetadata(l.Reply.Metadata, r.patterns)
	if err != nil {
		return nil, forbidden(err)
	}
	sources := []rights.Grant{granted}
	if r.policy != nil {
		allowed, err := r.policy.For(rights.Subject{User: l.User(), Claims: l.Reply.Claims, Meta: l.Reply.Metadata})
		if err != nil {
			return nil, forbidden(err)
		}
		if allowed.Empty() {
			return nil, &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: "no rule of this route is for you"}
		}
		sources = append(sources, allowed)
	}
	for _, source := range l.Reply.Grants {
		access, err := source.On(ctx, r.options.Domain, r.name)
		if err != nil {
			return nil, forbidden(err)
		}
		if !attaches(r.socket, access) {
			return nil, &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: "your login does not allow you to use this route"}
		}
		sources = append(sources, r.allowed(access))
	}
	all := rights.Combine(sources...)
	if r.relay {
		return r.wholePrivileges(all)
	}
	return newPrivileges(r, all), nil
}

// allowed is the access as rights on this route.
func (r *rules) allowed(a zap.Access) rights.Grant {
	if a.Topics != nil {
		return asked{a}
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

// attaches tells whether a login with this access may open a route with this socket at
// all. Who gets what others publish, push or ask needs to read: by topic only where clients
// subscribe, as RabbitMQ asks for no topic when a queue is consumed. Who only sends needs
// to write. An answer belongs to its request, so on DEALER and REQ routes either will do:
// who may write gets the answers to what it writes.
func attaches(socket zmtp.SocketType, a zap.Access) bool {
	switch socket {
	case zmtp.PUSH, zmtp.PUB, zmtp.XPUB:
		return a.Write
	case zmtp.DEALER, zmtp.REQ:
		return a.Read || a.Write
	}
	return a.Read
}
