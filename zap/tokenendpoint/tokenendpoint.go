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

// maxToken bounds a token that the endpoint is asked about, in octets: HTTP servers take
// headers of 8 KiB and refuse longer ones with answers that mean nothing.
const maxToken = 8<<10 - 256

// Options describe a [Client].
type Options struct {
	// URL is the endpoint, http:// or https://. Required.
	URL string
	// Form is what a token looks like from its first octet to its last (RE2); what does
	// not match is refused without asking. Empty means the form of a JSON Web Token. In a
	// header only visible ASCII can be sent: other tokens match no form.
	Form string
	// TLS verifies the endpoint and shows it our certificate; nil means the system's
	// authorities and no certificate.
	TLS *tls.Config
	// Timeout is how long one answer may take; 0 means [DefaultTimeout].
	Timeout time.Duration
	// Connections is how many tokens may be asked about at the same time; 0 means
	// [DefaultConnections]. The next wait.
	Connections int
	// Identities, if not nil, gives users the names that stand in replies. The caller
	// closes it, after the client.
	Identities *Identities
	// SingleToken lets only the latest token of a user count: a good one that is new ends
	// the logins by those before it ([zap.Revoker]), and these are not taken again. What
	// is remembered for that is lost with the Client.
	SingleToken bool
}

// DefaultForm is that of a JSON Web Token: three parts of base64url.
const DefaultForm = `[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`

// Client asks one endpoint. It is a [zap.Handler] for BEARER tokens, and for PLAIN logins
// whose password is a token; the user name is then empty, or that of the token's user as
// replies have it. It is a [zap.Revoker] too. A token that is not good is left to the next
// handler of a chain ([zap.ErrPass]); one that a newer has replaced is refused. It is safe
// for concurrent use.
type Client struct {
	o      Options
	form   *regexp.Regexp
	http   *httpclient.Client
	latest *latest // nil without Options.SingleToken
	zap.Changes
}

// New checks the options and makes a client, which the caller closes. It does not connect.
func New(o Options) (*Client, error) {
	if !httpclient.ValidURL(o.URL) {
		return nil, errors.New("token endpoint: not an http:// or https:// URL") // it may hold a password
	}
	o.Form = cmp.Or(o.Form, DefaultForm)
	c := &Client{o: o}
	_, err := regexp.Compile(o.Form) // before it is put into parentheses
	if err != nil {
		return nil, fmt.Errorf("token endpoint: form of a token: %w", err)
	}
	if c.form, err = regexp.Compile(`\A(?:` + o.Form + `)\z`); err != nil {
		return nil, fmt.Errorf("token endpoint: form of a token: %w", err)
	}
	if c.http, err = httpclient.New(httpclient.Options{TLS: o.TLS, Timeout: o.Timeout, Connections: o.Connections}); err != nil {
		return nil, fmt.Errorf("token endpoint: %w", err)
	}
	if o.SingleToken {
		c.latest = newLatest(maxUsers, c.Notify)
	}
	return c, nil
}

// Close waits for the questions that are under way. Later ones fail. It must not be called
// from a function that is registered with OnChange.
func (c *Client) Close() error {
	err := c.http.Close()
	if c.latest != nil {
		c.latest.close()
	}
	return err
}

// Authenticate asks the endpoint whose token it is.
func (c *Client) Authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	claimed, token, ok := carried(req)
	switch {
	case !ok:
		return nil, zap.Pass("no token")
	case len(token) > maxToken || !visible(token) || !c.form.Match(token):
		return nil, zap.Pass("a token of another form")
	}
	user, err := c.ask(ctx, string(token))
	if err != nil {
		return nil, err
	}
	if c.o.Identities != nil {
		if user, err = c.o.Identities.ID(user); err != nil {
			return nil, err
		}
	}
	if claimed != "" && claimed != user {
		return nil, zap.Pass("the token is another user's")
	}
	reply := &zap.Reply{Status: zap.OK, Text: "OK", UserID: user}
	if c.latest != nil {
		login := basis{user, hashOf(token)}
		if !c.latest.present(login) {
			return &zap.Reply{Status: zap.Refused, Text: fmt.Sprintf("a newer token of user %q has replaced this one", user)}, nil
		}
		reply.Basis = login
	}
	return reply, nil
}

// carried finds the token in a request, and the user name that came with it.
func carried(req *zap.Request) (user string, token []byte, ok bool) {
	switch {
	case req.Mechanism == zap.BEARER && len(req.Credentials) == 1:
		return "", req.Credentials[0], true
	case req.Mechanism == zap.PLAIN && len(req.Credentials) == 2:
		return string(req.Credentials[0]), req.Credentials[1], true
	}
	return "", nil, false
}

// visible tells whether the token can stand in a header as it is.
func visible(token []byte) bool {
	return !bytes.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' })
}

// Revoked tells whether a newer token has replaced that of the login.
func (c *Client) Revoked(reply *zap.Reply) bool {
	if c.latest == nil {
		return false
	}
	login, ok := reply.Basis.(basis)
	return ok && c.latest.replaced(login)
}

// ask returns the user whose token it is. The error is a [zap.ErrPass] if the endpoint says
// that it is nobody's.
func (c *Client) ask(ctx context.Context, token string) (user string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.o.URL, nil)
	if err != nil {
		return "", errors.New("token endpoint: URL cannot be asked")
	}
	req.Header["token"] = []string{token} // in the very case that the contract has
	req.Header.Set("Accept", "application/json")
	status, body, err := c.http.Do(req)
	switch {
	case err != nil:
	case status == http.StatusBadRequest:
		return "", zap.Pass("the token endpoint does not know the token")
	case status != http.StatusOK:
		err = fmt.Errorf("answer of status %d, want 200 or 400", status)
	default:
		if user, err = parseUser(body); err == nil {
			return user, nil
		}
	}
	return "", fmt.Errorf("token endpoint %s%s: %w", req.URL.Host, req.URL.Path, err)
}
