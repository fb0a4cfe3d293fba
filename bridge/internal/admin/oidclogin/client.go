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
	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

const (
	// DefaultTimeout is how long one request to the provider may take unless Options say
	// otherwise.
	DefaultTimeout = 5 * time.Second
	// TicketLife is how long a person may take at the provider.
	TicketLife = 10 * time.Minute
	// MaxExchanges is how many codes are changed into tokens at the same time; the next
	// wait.
	MaxExchanges = 16
	// maxSecret bounds the file of the client secret, in octets.
	maxSecret = 4 << 10
)

// Options describe a [Client].
type Options struct {
	// Issuer is the provider's URL; its discovery document tells the others.
	Issuer string
	// ClientID is our name at the provider, and SecretFile what proves it. The file is read
	// for each login, so that a changed secret counts at once. Without one the client is
	// public: only PKCE protects the code.
	ClientID   string
	SecretFile string
	// RedirectURL is where the provider sends the browser back to, as registered there.
	RedirectURL string
	// Scopes are asked for; "openid" has to be one of them.
	Scopes []string
	// Params are further parameters of the requests for a code and for tokens, such as
	// "resource" (RFC 8707) or "audience".
	Params map[string]string
	// Roots vouch for the provider's TLS; nil means the system's authorities.
	Roots *x509.CertPool
	// Timeout is how long one request to the provider may take; 0 means DefaultTimeout.
	Timeout time.Duration
}

// Client logs people in at one provider. It is safe for concurrent use. It has no
// connections and goroutines of its own and need not be closed.
type Client struct {
	o         Options
	http      *http.Client
	tickets   cipher.AEAD
	exchanges chan struct{} // one entry for each that is under way
	discovery discovery
}

// New makes a client. Nothing is asked of the provider before the first login.
func New(o Options) *Client {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	return &Client{
		o:         o,
		http:      jwt.HTTPClient(o.Roots, o.Timeout),
		tickets:   newSeal(),
		exchanges: make(chan struct{}, MaxExchanges),
		discovery: discovery{asking: make(chan struct{}, 1)},
	}
}

// Begin makes the URL at the provider that the browser is to be sent to, and the ticket
// that it has to bring back, for a cookie that no script can read. Errors are of type
// [*Error].
func (c *Client) Begin(ctx context.Context) (redirect, cookie string, err error) {
	p, err := c.provider(ctx)
	if err != nil {
		return "", "", &Error{Unavailable, err}
	}
	t := ticket{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Until: time.Now().Add(TicketLife)}
	options := append(c.params(), oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier))
	return p.config("").AuthCodeURL(t.State, options...), c.seal(t), nil
}

// params are those of Options as options of a request.
func (c *Client) params() []oauth2.AuthCodeOption {
	var options []oauth2.AuthCodeOption
	for name, value := range c.o.Params {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return options
}

// Login is what the provider has given for a code.
type Login struct {
	AccessToken string
	// Expires is when the token ends as the provider says; zero if it does not say.
	Expires time.Time
	// Logout is a page of the provider that ends its own session with the browser (OpenID
	// Connect RP-Initiated Logout 1.0); empty if it has none.
	Logout string
}

// Finish gives the login for a ticket and the query that the browser came back with. Errors
// are of type [*Error].
func (c *Client) Finish(ctx context.Context, cookie string, answer url.Values) (*Login, error) {
	t, err := c.open(cookie)
	if err == nil && subtle.ConstantTimeCompare([]byte(t.State), []byte(answer.Get("state"))) != 1 {
		err = errors.New("its state is not that of the ticket")
	}
	if err != nil {
		return nil, &Error{Stale, err}
	}
	if code := answer.Get("error"); code != "" {
		return nil, &Error{Declined, fmt.Errorf("the provider answers %q: %q", code, answer.Get("error_description"))}
	}
	if iss := answer.Get("iss"); iss != "" && iss != c.o.Issuer { // RFC 9207
		return nil, &Error{Failed, fmt.Errorf("the answer is of issuer %q", iss)}
	}
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

// exchange changes the code into tokens and looks whether they are those of the login that
// t began.
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
	raw, _ := tokens.Extra("id_token").(string)
	id, err := p.verifier.Verify(ctx, raw)
	if err == nil && subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1 {
		err = errors.New("the ID token is of another login: its nonce differs")
	}
	if err == nil && id.AccessTokenHash != "" {
		err = id.VerifyAccessToken(tokens.AccessToken)
	}
	if err != nil {
		return nil, &Error{Failed, err}
	}
	return &Login{AccessToken: tokens.AccessToken, Expires: tokens.Expiry, Logout: p.logoutPage(c.o.ClientID)}, nil
}

// exchangeReason is what an error of the token endpoint means (RFC 6749, section 5.2).
func exchangeReason(err error) Reason {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok || answer.Response.StatusCode/100 != 4:
		return Unavailable
	case answer.ErrorCode == "invalid_grant": // a code that has expired or was used
		return Stale
	}
	return Failed
}

// secret reads the client secret; empty for a public client.
func (c *Client) secret() (string, error) {
	if c.o.SecretFile == "" {
		return "", nil
	}
	text, err := certs.ReadPrivate(c.o.SecretFile, maxSecret)
	return strings.TrimSpace(string(text)), err
}
