package oidclogin

import (
	"cmp"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

const (
	// DefaultTimeout is the default of Options.Timeout.
	DefaultTimeout = 5 * time.Second
	// TicketLife is how long a login may take between Begin and Finish.
	TicketLife = 10 * time.Minute
	// MaxExchanges is how many codes are exchanged for tokens at the same time; further
	// logins wait.
	MaxExchanges = 16
	// maxSecret is the limit on the file of the client secret in bytes.
	maxSecret = 4 << 10
)

// Options configures a [Client].
type Options struct {
	// Issuer is the provider's URL; its discovery document names the others.
	Issuer string
	// ClientID is our client id at the provider and SecretFile the file of its secret. The
	// file is read for each login, so that a change takes effect at once. Without a file
	// the client is public: only PKCE protects the code.
	ClientID   string
	SecretFile string
	// Private decides which modes that file can have; the zero value is strict.
	Private certs.Private
	// RedirectURL is the URL to which the provider sends the browser back, as registered
	// there.
	RedirectURL string
	// Scopes are the scopes to request, which must include "openid".
	Scopes []string
	// Params are additional parameters of the authorization and token requests, such as
	// "resource" (RFC 8707) or "audience".
	Params map[string]string
	// Roots verify the provider's certificate; nil means the system's certificate
	// authorities.
	Roots *x509.CertPool
	// Timeout limits one request to the provider; 0 means [DefaultTimeout].
	Timeout time.Duration
}

// Client logs people in at one provider. It is safe for concurrent use. It keeps no connections
// and no goroutines and need not be closed.
type Client struct {
	o         Options
	http      *http.Client
	tickets   cipher.AEAD
	exchanges chan struct{} // one element for each exchange in flight
	discovery discovery
	used      usedTickets
}

// New returns a client. It does not contact the provider before the first login.
func New(o Options) *Client {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	return &Client{
		o:         o,
		http:      jwt.HTTPClient(o.Roots, o.Timeout),
		tickets:   newSeal(),
		exchanges: make(chan struct{}, MaxExchanges),
		discovery: discovery{lock: make(chan struct{}, 1)},
	}
}

// Begin returns the provider's URL to which the browser is to be redirected, and the ticket that
// Finish needs, for a cookie that scripts cannot read. Errors are of type [*Error].
func (c *Client) Begin(ctx context.Context) (redirect, cookie string, err error) {
	p, err := c.provider(ctx)
	if err != nil {
		return "", "", &Error{Unavailable, err}
	}
	t := ticket{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Until: time.Now().Add(TicketLife)}
	options := append(c.params(), oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier))
	return p.config("").AuthCodeURL(t.State, options...), c.seal(t), nil
}

// params returns Options.Params as options of a request.
func (c *Client) params() []oauth2.AuthCodeOption {
	var options []oauth2.AuthCodeOption
	for name, value := range c.o.Params {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return options
}

// Login is the result of a successful login.
type Login struct {
	AccessToken string
	// Expires is the end of the token's validity according to the provider; zero if it is
	// unknown.
	Expires time.Time
	// Logout is the provider's page that ends its own session with the browser (OpenID
	// Connect RP-Initiated Logout 1.0); empty if there is none.
	Logout string
}

// Finish completes a login with the ticket in the cookie and the query with which the browser
// came back. It enters the guard of ctx ([zap.GuardOf]) to ask the provider. Errors are of type
// [*Error].
func (c *Client) Finish(ctx context.Context, cookie string, answer url.Values) (*Login, error) {
	t, err := c.open(cookie)
	if err == nil && subtle.ConstantTimeCompare([]byte(t.State), []byte(answer.Get("state"))) != 1 {
		err = errors.New("state does not match the ticket")
	}
	if err == nil && !c.used.add(t) {
		err = errors.New("ticket was used before")
	}
	if err != nil {
		return nil, &Error{Stale, err}
	}
	if code := answer.Get("error"); code != "" {
		return nil, &Error{Declined, fmt.Errorf("provider returned error %q: %q", code, answer.Get("error_description"))}
	}
	if iss := answer.Get("iss"); iss != "" && iss != c.o.Issuer { // RFC 9207
		return nil, &Error{Failed, fmt.Errorf("response from issuer %q, want %q", iss, c.o.Issuer)}
	}
	guard := zap.GuardOf(ctx)
	if err := guard.Enter(ctx); err != nil {
		return nil, &Error{Unavailable, err}
	}
	defer guard.Leave()
	select {
	case c.exchanges <- struct{}{}:
		defer func() { <-c.exchanges }()
	case <-ctx.Done():
		return nil, &Error{Unavailable, context.Cause(ctx)}
	}
	p, err := c.provider(ctx)
	if err != nil {
		return nil, &Error{Unavailable, err}
	}
	return c.exchange(ctx, p, t, answer.Get("code"))
}

// exchange exchanges the code for tokens and verifies that they belong to the login that t
// began.
func (c *Client) exchange(ctx context.Context, p *provider, t *ticket, code string) (*Login, error) {
	secret, err := c.secret()
	if err != nil {
		return nil, &Error{Failed, err}
	}
	ctx = oidc.ClientContext(ctx, c.http)
	tokens, err := p.config(secret).Exchange(ctx, code, append(c.params(), oauth2.VerifierOption(t.Verifier))...)
	if err != nil {
		return nil, &Error{exchangeReason(err), err}
	}
	if err := c.verify(ctx, p, t, tokens); err != nil {
		return nil, &Error{Failed, err}
	}
	return &Login{AccessToken: tokens.AccessToken, Expires: tokens.Expiry, Logout: p.logoutPage(c.o.ClientID)}, nil
}

// exchangeReason classifies an error of the token endpoint (RFC 6749, section 5.2).
func exchangeReason(err error) Reason {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok || answer.Response.StatusCode/100 != 4:
		return Unavailable
	case answer.ErrorCode == "invalid_grant": // the code has expired or was used
		return Stale
	}
	return Failed
}

// secret returns the client secret; empty for a public client.
func (c *Client) secret() (string, error) {
	if c.o.SecretFile == "" {
		return "", nil
	}
	text, err := c.o.Private.Read(c.o.SecretFile, maxSecret)
	return strings.TrimSpace(string(text)), err
}
