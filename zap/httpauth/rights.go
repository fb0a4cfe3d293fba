package httpauth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// login is a user whom the service has let in; it is the [zap.Grant] of that user.
type login struct {
	client  *Client
	user    string
	tags    string // joined by spaces
	address string
}

func (c *Client) login(user string, tags []string, address string) *login {
	return &login{client: c, user: user, tags: strings.Join(tags, " "), address: address}
}

// all are the rights that a reply carries; none if there is nothing to ask about.
func (l *login) all() []zap.Grant {
	if l.client.o.Vhost+l.client.o.Resource+l.client.o.Topic == "" {
		return nil
	}
	return []zap.Grant{l}
}

// enter asks about the vhost, as a part of the login.
func (l *login) enter(ctx context.Context, vhost string) error {
	if l.client.o.Vhost == "" {
		return nil
	}
	a, err := l.client.ask(ctx, l.client.logins, l.client.o.Vhost, vhostForm(l.user, vhost, l.address, l.tags), parseBool)
	if err == nil && !a.allowed {
		err = fmt.Errorf("%w: by the HTTP service, vhost %q to user %q: %q", zap.ErrDenied, vhost, l.user, a.reason)
	}
	return err
}

// In implements [zap.Grant]: it asks about the vhost.
func (l *login) In(ctx context.Context, vhost string) (bool, error) {
	err := l.allows(ctx, kindVhost, vhost, [][]byte{[]byte(l.user), []byte(l.tags)})
	if errors.Is(err, zap.ErrDenied) {
		return false, nil
	}
	return err == nil, err
}

// On implements [zap.Grant]: to attach needs read. Whether the user may send is asked when
// he does.
func (l *login) On(ctx context.Context, vhost, route string) (zap.Access, error) {
	e := &exchange{login: l, vhost: vhost}
	for p, permission := range permissions {
		e.forms[p] = [][]byte{[]byte(l.user), []byte(l.tags), []byte(route), []byte(permission)}
	}
	err := e.resource(ctx, read)
	switch {
	case errors.Is(err, zap.ErrDenied):
		return zap.Access{}, nil
	case err != nil:
		return zap.Access{}, err
	}
	return zap.Access{Read: true, Write: true, Topics: e}, nil
}

// The permissions that are asked for, as indices.
const (
	read = iota
	write
)

var permissions = [...]string{read: "read", write: "write"}

// exchange is a route in the eyes of a user: the [zap.Topics] there.
type exchange struct {
	login *login
	vhost string
	forms [len(permissions)][][]byte // user, tags, name, permission
}

// Receive implements [zap.Topics].
func (e *exchange) Receive(ctx context.Context, prefix []byte) error {
	return e.both(ctx, read, prefix)
}

// Send implements [zap.Topics].
func (e *exchange) Send(ctx context.Context, topic []byte) error {
	return e.both(ctx, write, topic)
}

// MaxTopic is how long a topic may be that the service is asked about, in octets. A longer
// one is denied.
const MaxTopic = 4 << 10

// both asks about the exchange and then about the topic.
func (e *exchange) both(ctx context.Context, permission int, key []byte) error {
	if len(key) > MaxTopic {
		return fmt.Errorf("%w: a topic of %d octets, at most %d are asked about", zap.ErrDenied, len(key), MaxTopic)
	}
	if err := e.resource(ctx, permission); err != nil || e.login.client.o.Topic == "" {
		return err
	}
	f := e.forms[permission]
	return e.login.allows(ctx, kindTopic, e.vhost, append(f[:len(f):len(f)], key))
}

func (e *exchange) resource(ctx context.Context, permission int) error {
	if e.login.client.o.Resource == "" {
		return nil
	}
	return e.login.allows(ctx, kindResource, e.vhost, e.forms[permission])
}

// The kinds of questions about rights. To the cache they are requests of mechanisms of
// their own, whose credentials are what distinguishes one question from another.
const (
	kindVhost    zap.Mechanism = "vhost"    // user, tags; and the address
	kindResource zap.Mechanism = "resource" // user, tags, name, permission
	kindTopic    zap.Mechanism = "topic"    // user, tags, name, permission, routing key
)

// allows asks a question, or remembers the answer. The error wraps [zap.ErrDenied], or says
// that there was no answer.
func (l *login) allows(ctx context.Context, kind zap.Mechanism, vhost string, of [][]byte) error {
	req := &zap.Request{Domain: vhost, Mechanism: kind, Credentials: of}
	if kind == kindVhost {
		req.Address = l.address
	}
	reply, err := l.client.judge.Authenticate(ctx, req)
	if err != nil {
		return err
	}
	return reply.Cause
}

// allowed is the reply to every question whose answer is yes.
var allowed = &zap.Reply{Status: zap.OK}

// decide puts a question about rights to the service.
func (c *Client) decide(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	address, f := c.question(req)
	if address == "" {
		return allowed, nil
	}
	a, err := c.ask(ctx, c.rights, address, f, parseBool)
	switch {
	case err != nil:
		return nil, err
	case a.allowed:
		return allowed, nil
	}
	return &zap.Reply{
		Status: zap.Refused,
		Cause:  fmt.Errorf("%w: by the HTTP service, %s: %q", zap.ErrDenied, req.Mechanism, a.reason),
	}, nil
}

// question makes the form of a question, and tells where to ask it.
func (c *Client) question(req *zap.Request) (address string, f form) {
	of := func(i int) string { return string(req.Credentials[i]) }
	user, tags := of(0), of(1)
	switch req.Mechanism {
	case kindVhost:
		return c.o.Vhost, vhostForm(user, req.Domain, req.Address, tags)
	case kindResource:
		return c.o.Resource, resourceForm(user, req.Domain, of(2), of(3), tags)
	}
	return c.o.Topic, topicForm(user, req.Domain, of(2), of(3), tags, of(4))
}
