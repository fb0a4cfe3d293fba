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

// Options configures a [Client].
type Options struct {
	// User, Vhost, Resource and Topic are the http:// or https:// URLs for the kinds of
	// requests. If one is empty, that kind is not asked about and everything of it is
	// allowed; without User, Authenticate accepts nobody. At least one is required.
	User, Vhost, Resource, Topic string
	// Method is POST or GET. GET puts passwords into URLs. Empty means POST.
	Method string
	// TLS verifies the service and holds our client certificate; nil means the system's
	// certificate authorities and no certificate.
	TLS *tls.Config
	// Timeout limits one request; 0 means [DefaultTimeout].
	Timeout time.Duration
	// Connections is how many requests about logins and, separately, about rights may be in
	// flight at the same time; 0 means [DefaultConnections]. Further ones wait. They are
	// counted separately so that many logins do not delay the users who are logged in.
	Connections int
	// Cache is how long a response about rights is reused, but a denial at most for
	// [zap.DefaultRefusedTTL]; 0 disables the cache.
	Cache time.Duration
	// CacheEntries is how many positive and, separately, how many negative responses are
	// kept; 0 means [zap.DefaultCacheEntries].
	CacheEntries int
}

// Client asks one service. It is a [zap.Handler] for PLAIN logins with a user name, and a
// [zap.Authorizer] for logins that another handler has accepted. In both cases it adds a
// [zap.Grant] to the reply if there is a URL for requests about rights.
//
// It passes users that the service denies ([zap.ErrPass]), and refuses users that the service
// allows but not in the vhost. It is safe for concurrent use.
type Client struct {
	o      Options
	logins *httpclient.Client
	rights *httpclient.Client
	decide zap.Handler // asks about rights, through the cache if there is one
	cache  *zap.Cache  // nil if disabled
}

// New checks the options and returns a client, which the caller closes. It does not connect.
func New(o Options) (*Client, error) {
	o.Method = cmp.Or(o.Method, http.MethodPost)
	if o.Method != http.MethodPost && o.Method != http.MethodGet {
		return nil, fmt.Errorf("httpauth: method %q: want POST or GET", o.Method)
	}
	if o.User+o.Vhost+o.Resource+o.Topic == "" {
		return nil, errors.New("httpauth: no URL for any kind of request")
	}
	for _, address := range []string{o.User, o.Vhost, o.Resource, o.Topic} {
		if address != "" && !httpclient.ValidURL(address) {
			return nil, errors.New("httpauth: not an http:// or https:// URL") // it may hold a password
		}
	}
	if o.Cache < 0 || o.CacheEntries < 0 {
		return nil, fmt.Errorf("httpauth: cache of %d responses for %v: must not be negative", o.CacheEntries, o.Cache)
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
	c.decide = zap.HandlerFunc(c.askRights)
	if o.Cache > 0 {
		if c.cache, err = zap.NewCache(c.decide, zap.CacheOptions{TTL: o.Cache, Entries: o.CacheEntries}); err != nil {
			return nil, err
		}
		c.decide = c.cache
	}
	return c, nil
}

// Close waits for the requests in flight. Later ones fail, including those of grants that the
// client has issued.
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
		return nil, zap.Pass("%s is not decided by an HTTP service", req.Mechanism)
	case user == "" || c.o.User == "":
		return nil, zap.Pass("no user name for an HTTP service")
	}
	guard := zap.GuardOf(ctx)
	if err := guard.Enter(ctx); err != nil {
		return nil, err
	}
	defer guard.Leave()
	a, err := c.ask(ctx, c.logins, c.o.User, userForm(user, password, req.Domain), parse)
	switch {
	case err != nil:
		return nil, err
	case !a.allowed:
		return nil, zap.Pass("denied by the HTTP service: %q", a.reason)
	}
	l := c.login(user, a.tags, req.Address)
	reply := &zap.Reply{Status: zap.OK, Text: "OK", UserID: user, Grants: l.grants()}
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

// Guarded implements [zap.Guarded].
func (c *Client) Guarded() {}

// Authorize asks about the vhost and adds a grant to the reply. The user's tags are those in the
// reply's metadata.
func (c *Client) Authorize(ctx context.Context, req *zap.Request, reply *zap.Reply) error {
	for _, r := range reply.Grants {
		if l, ok := r.(*login); ok && l.client == c {
			return nil // this client was the authenticator
		}
	}
	if reply.UserID == "" {
		return fmt.Errorf("%w: no user name for the HTTP service", zap.ErrDenied)
	}
	l := c.login(reply.UserID, strings.Fields(reply.Metadata.Get("Tags")), req.Address)
	if err := l.enter(ctx, req.Domain); err != nil {
		return err
	}
	reply.Grants = append(reply.Grants, l.grants()...)
	return nil
}
