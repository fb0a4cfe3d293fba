package httpauth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap"
)

// login is a user that the service has accepted, and the [zap.Grant] of this user.
type login struct {
	client  *Client
	user    string
	tags    string // joined by spaces
	address string
}

func (c *Client) login(user string, tags []string, address string) *login {
	return &login{client: c, user: user, tags: strings.Join(tags, " "), address: address}
}

// grants returns the grants for a reply: none if there is no URL for requests about rights.
func (l *login) grants() []zap.Grant {
	if l.client.o.Vhost+l.client.o.Resource+l.client.o.Topic == "" {
		return nil
	}
	return []zap.Grant{l}
}

// enter asks about the vhost during the login.
func (l *login) enter(ctx context.Context, vhost string) error {
	if l.client.o.Vhost == "" {
		return nil
	}
	a, err := l.client.ask(ctx, l.client.logins, l.client.o.Vhost, vhostForm(l.user, vhost, l.address, l.tags), parseBool)
	if err == nil && !a.allowed {
		err = fmt.Errorf("%w by the HTTP service: vhost %q for user %q: %q", zap.ErrDenied, vhost, l.user, a.reason)
	}
	return err
}

// In implements [zap.Grant]. It asks about the vhost.
func (l *login) In(ctx context.Context, vhost string) (bool, error) {
	err := l.allows(ctx, kindVhost, vhost, [][]byte{[]byte(l.user), []byte(l.tags)})
	if errors.Is(err, zap.ErrDenied) {
		return false, nil
	}
	return err == nil, err
}

// On implements [zap.Grant]. Attaching requires read. The service is asked about write when the
// user sends.
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

// The permissions, as indices of the array below.
const (
	read = iota
	write
)

var permissions = [...]string{read: "read", write: "write"}

// exchange is a route for a user. It implements [zap.Topics].
type exchange struct {
	login *login
	vhost string
	forms [len(permissions)][][]byte // user, tags, name, permission
}

// Receive implements [zap.Topics].
func (e *exchange) Receive(ctx context.Context, prefix []byte) error {
	return e.topic(ctx, read, prefix)
}

// Send implements [zap.Topics].
func (e *exchange) Send(ctx context.Context, topic []byte) error {
	return e.topic(ctx, write, topic)
}

// MaxTopic is the longest topic that the service is asked about, in bytes. A longer one is
// denied.
const MaxTopic = 4 << 10

// topic asks about the exchange and then about the topic.
func (e *exchange) topic(ctx context.Context, permission int, key []byte) error {
	if len(key) > MaxTopic {
		return fmt.Errorf("%w: topic of %d bytes, at most %d", zap.ErrDenied, len(key), MaxTopic)
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

// The kinds of requests about rights. For the cache they are ZAP requests with mechanisms of
// their own, whose credentials distinguish one request from another.
const (
	kindVhost    zap.Mechanism = "vhost"    // user, tags; and the address
	kindResource zap.Mechanism = "resource" // user, tags, name, permission
	kindTopic    zap.Mechanism = "topic"    // user, tags, name, permission, routing key
)

// allows asks the service or the cache. The error wraps [zap.ErrDenied] if the answer is no; any
// other error means that the service has not answered.
func (l *login) allows(ctx context.Context, kind zap.Mechanism, vhost string, of [][]byte) error {
	req := &zap.Request{Domain: vhost, Mechanism: kind, Credentials: of}
	if kind == kindVhost {
		req.Address = l.address
	}
	reply, err := l.client.decide.Authenticate(ctx, req)
	if err != nil {
		return err
	}
	return reply.Cause
}

// allowed is the ZAP reply for every positive response.
var allowed = &zap.Reply{Status: zap.OK}

// askRights asks the service about rights.
func (c *Client) askRights(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	address, f := c.form(req)
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
		Cause:  fmt.Errorf("%w by the HTTP service: %s: %q", zap.ErrDenied, req.Mechanism, a.reason),
	}, nil
}

// form returns the form of a request about rights and its URL.
func (c *Client) form(req *zap.Request) (address string, f form) {
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
