package tokenendpoint

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/internal/httpclient"
)

// The defaults of [Options].
const (
	DefaultTimeout     = httpclient.DefaultTimeout
	DefaultConnections = httpclient.DefaultConnections
)

// maxToken is the longest token that is sent to the endpoint, in bytes. HTTP servers accept
// headers of 8 KiB and reject longer ones with a status that says nothing about the token.
const maxToken = 8<<10 - 256

// Options configures a [Client].
type Options struct {
	// URL is the endpoint, http:// or https://. Required.
	URL string
	// Form is a regular expression (RE2) that must match the whole token; other tokens are
	// passed without a request. Empty means [DefaultForm]. Tokens with anything but visible
	// ASCII, which cannot be sent in a header, never match.
	Form string
	// TLS verifies the endpoint and holds our client certificate; nil means the system's
	// certificate authorities and no certificate.
	TLS *tls.Config
	// Timeout limits one request; 0 means [DefaultTimeout].
	Timeout time.Duration
	// Connections is how many requests may be in flight at the same time; 0 means
	// [DefaultConnections]. Further ones wait.
	Connections int
	// Identities, if not nil, replaces the user ids in replies by UUIDs. The caller closes
	// it, after the client.
	Identities *Identities
	// SingleToken makes only the latest token of a user valid: a new valid token revokes the
	// logins with earlier ones ([zap.Revoker]), which are then refused. The Client keeps
	// the tokens' hashes in memory only.
	SingleToken bool
}

// DefaultForm matches a JSON Web Token: three parts of base64url.
const DefaultForm = `[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`

// Client asks one endpoint. It is a [zap.Handler] for BEARER tokens, and for PLAIN logins whose
// password is a token and whose user name is empty or the user id in the reply. It is also a
// [zap.Revoker]. It passes an invalid token ([zap.ErrPass]) and refuses one that a newer token
// has replaced. It is safe for concurrent use.
type Client struct {
	o      Options
	form   *regexp.Regexp
	http   *httpclient.Client
	latest *latest // nil without Options.SingleToken
	zap.Changes
}

// New checks the options and returns a client, which the caller closes. It does not connect.
func New(o Options) (*Client, error) {
	if !httpclient.ValidURL(o.URL) {
		return nil, errors.New("token endpoint: not an http:// or https:// URL") // it may hold a password
	}
	o.Form = cmp.Or(o.Form, DefaultForm)
	c := &Client{o: o}
	_, err := regexp.Compile(o.Form) // before it is put into parentheses
	if err != nil {
		return nil, fmt.Errorf("token endpoint: token form: %w", err)
	}
	if c.form, err = regexp.Compile(`\A(?:` + o.Form + `)\z`); err != nil {
		return nil, fmt.Errorf("token endpoint: token form: %w", err)
	}
	if c.http, err = httpclient.New(httpclient.Options{TLS: o.TLS, Timeout: o.Timeout, Connections: o.Connections}); err != nil {
		return nil, fmt.Errorf("token endpoint: %w", err)
	}
	if o.SingleToken {
		c.latest = newLatest(maxUsers, c.Notify)
	}
	return c, nil
}

// Close waits for the requests in flight. Later ones fail. It must not be called from a function
// that was registered with OnChange.
func (c *Client) Close() error {
	err := c.http.Close()
	if c.latest != nil {
		c.latest.close()
	}
	return err
}

// Authenticate asks the endpoint about the token.
func (c *Client) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	claimed, token, ok := credentials(req)
	switch {
	case !ok:
		return nil, zap.Pass("no token")
	case len(token) > maxToken || !visible(token) || !c.form.Match(token):
		return nil, zap.Pass("token has another form")
	}
	guard := zap.GuardOf(ctx)
	if err := guard.Enter(ctx); err != nil {
		return nil, err
	}
	defer guard.Leave()
	user, err := c.ask(ctx, string(token))
	if err != nil {
		return nil, err
	}
	name := user // at the endpoint
	if c.o.Identities != nil {
		if user, err = c.o.Identities.ID(name); err != nil {
			return nil, err
		}
	}
	if claimed != "" && claimed != name && claimed != user {
		return nil, zap.Pass("token belongs to another user")
	}
	reply := &zap.Reply{Status: zap.OK, Text: "OK", UserID: user}
	if c.latest != nil {
		login := basis{user, hashOf(token)}
		if !c.latest.present(login) {
			return &zap.Reply{Status: zap.Refused, Text: fmt.Sprintf("token was replaced by a newer one of user %q", user)}, nil
		}
		reply.Basis = login
	}
	return reply, nil
}

// Guarded implements [zap.Guarded].
func (c *Client) Guarded() {}

// credentials returns the token in a request and the user name that came with it.
func credentials(req *zap.Request) (user string, token []byte, ok bool) {
	switch {
	case req.Mechanism == zap.BEARER && len(req.Credentials) == 1:
		return "", req.Credentials[0], true
	case req.Mechanism == zap.PLAIN && len(req.Credentials) == 2:
		return string(req.Credentials[0]), req.Credentials[1], true
	}
	return "", nil, false
}

// visible reports whether the token can be sent in a header unchanged.
func visible(token []byte) bool {
	return !bytes.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' })
}

// Revoked reports whether a newer token has replaced that of the login.
func (c *Client) Revoked(reply *zap.Reply) bool {
	if c.latest == nil {
		return false
	}
	login, ok := reply.Basis.(basis)
	return ok && c.latest.replaced(login)
}

// ask returns the token's user. The error is a [zap.ErrPass] if the endpoint does not know the
// token.
func (c *Client) ask(ctx context.Context, token string) (user string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.o.URL, nil)
	if err != nil {
		return "", errors.New("token endpoint: invalid URL")
	}
	req.Header["token"] = []string{token} // the protocol has it in lower case
	req.Header.Set("Accept", "application/json")
	status, body, err := c.http.Do(req)
	switch {
	case err != nil:
	case status == http.StatusBadRequest:
		return "", zap.Pass("token is unknown to the token endpoint")
	case status != http.StatusOK:
		err = fmt.Errorf("response with status %d, want 200 or 400", status)
	default:
		if user, err = parseUser(body); err == nil {
			return user, nil
		}
	}
	return "", fmt.Errorf("token endpoint %s%s: %w", req.URL.Host, req.URL.Path, err)
}
