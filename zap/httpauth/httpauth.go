package httpauth

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/internal/httpclient"
)

// The defaults of [Options].
const (
	DefaultTimeout     = httpclient.DefaultTimeout
	DefaultConnections = httpclient.DefaultConnections
)

// Options describe a [Client].
type Options struct {
	// User, Vhost, Resource and Topic are the addresses, http:// or https://, where
	// questions of that kind are asked; an empty one means that they are not asked, and
	// that all of them would be allowed. Without User nobody can log in. At least one.
	User, Vhost, Resource, Topic string
	// Method is POST, or GET, which puts passwords into URLs. Empty means POST.
	Method string
	// TLS verifies the service and shows it our certificate; nil means the system's
	// authorities and no certificate.
	TLS *tls.Config
	// Timeout is how long one answer may take; 0 means [DefaultTimeout].
	Timeout time.Duration
	// Connections is how many questions about logins, and how many about rights, may be
	// under way at the same time; 0 means [DefaultConnections]. The next wait. They are
	// counted apart so that a storm of logins does not hold up those who are in.
	Connections int
	// Cache is how long an answer about rights may be reused, refusals at most
	// [zap.DefaultRefusedTTL]; 0 means not at all.
	Cache time.Duration
	// CacheEntries is how many allowed and how many refused answers are kept; 0 means
	// [zap.DefaultCacheEntries].
	CacheEntries int
}

// Client asks one service. It is a [zap.Handler] for PLAIN logins with a user name, and a
// [zap.Authorizer] for logins that another handler has accepted. Either way its replies
// carry [zap.Grant] if there is an address to ask about rights.
//
// A user that the service denies is left to the next handler of a chain ([zap.ErrPass]); a
// user that it knows and denies the vhost is refused. It is safe for concurrent use.
type Client struct {
	o      Options
	logins *httpclient.Client
	rights *httpclient.Client
	judge  zap.Handler // of questions about rights: the service, behind the cache if there is one
	cache  *zap.Cache  // nil without one
}

// New checks the options and makes a client, which the caller closes. It does not connect.
func New(o Options) (*Client, error) {
	o.Method = cmp.Or(o.Method, http.MethodPost)
	if o.Method != http.MethodPost && o.Method != http.MethodGet {
		return nil, fmt.Errorf("httpauth: method %q: want POST or GET", o.Method)
	}
	if o.User+o.Vhost+o.Resource+o.Topic == "" {
		return nil, errors.New("httpauth: no address for any kind of question")
	}
	for _, address := range []string{o.User, o.Vhost, o.Resource, o.Topic} {
		if address != "" && !httpclient.ValidURL(address) {
			return nil, errors.New("httpauth: address is not an http:// or https:// URL") // it may hold a password
		}
	}
	if o.Cache < 0 || o.CacheEntries < 0 {
		return nil, fmt.Errorf("httpauth: cache of %d answers for %v: neither may be negative", o.CacheEntries, o.Cache)
	}
	c := &Client{o: o}
	transport := httpclient.Options{TLS: o.TLS, Timeout: o.Timeout, Connections: o.Connections}
	var err error
	if c.logins, err = httpclient.New(transport); err != nil {
		return nil, fmt.Errorf("httpauth: %w", err)
	}
	if c.rights, err = httpclient.New(transport); err != nil {
		return nil, fmt.Errorf("httpauth: %w", err)
	}
	c.judge = zap.HandlerFunc(c.decide)
	if o.Cache > 0 {
		if c.cache, err = zap.NewCache(c.judge, zap.CacheOptions{TTL: o.Cache, Entries: o.CacheEntries}); err != nil {
			return nil, err
		}
		c.judge = c.cache
	}
	return c, nil
}

// Close waits for the questions that are under way. Later ones, also those of rights that
// the client has given, are errors.
func (c *Client) Close() error {
	err := errors.Join(c.logins.Close(), c.rights.Close())
	if c.cache != nil {
		c.cache.Clear()
		c.cache.Close()
	}
	return err
}

// Authenticate asks about the user and then about the vhost, which is the domain.
func (c *Client) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	user, password, ok := req.Plain()
	switch {
	case !ok:
		return nil, zap.Pass("%s is not for an HTTP service to decide", req.Mechanism)
	case user == "" || c.o.User == "":
		return nil, zap.Pass("no user name to ask an HTTP service about")
	}
	a, err := c.ask(ctx, c.logins, c.o.User, userForm(user, password, req.Domain), parse)
	switch {
	case err != nil:
		return nil, err
	case !a.allowed:
		return nil, zap.Pass("denied by the HTTP service: %q", a.reason)
	}
	l := c.login(user, a.tags, req.Address)
	reply := &zap.Reply{Status: zap.OK, Text: "OK", UserID: user, Grants: l.all()}
	if len(a.tags) > 0 {
		reply.Metadata = zap.Metadata{{Name: "Tags", Value: l.tags}}
	}
	if err := l.enter(ctx, req.Domain); errors.Is(err, zap.ErrDenied) {
		return &zap.Reply{Status: zap.Refused, Text: err.Error(), Cause: err}, nil
	} else if err != nil {
		return nil, err
	}
	return reply, nil
}

// Authorize asks about the vhost, and adds what the service says about rights to the
// reply. The tags are those that the reply's metadata tell.
func (c *Client) Authorize(ctx context.Context, req *zap.Request, reply *zap.Reply) error {
	for _, r := range reply.Grants {
		if l, ok := r.(*login); ok && l.client == c {
			return nil // it has let the login in
		}
	}
	if reply.UserID == "" {
		return fmt.Errorf("%w: no user to ask the HTTP service about", zap.ErrDenied)
	}
	l := c.login(reply.UserID, strings.Fields(reply.Metadata.Get("Tags")), req.Address)
	if err := l.enter(ctx, req.Domain); err != nil {
		return err
	}
	reply.Grants = append(reply.Grants, l.all()...)
	return nil
}
