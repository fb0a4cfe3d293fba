package oidclogin

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/zwsbridge/zwsbridge/zap/jwt"
)

const (
	// discoveryLife is how long a discovery document is used.
	discoveryLife = 5 * time.Minute
	// discoveryRetry is the time between attempts to read it.
	discoveryRetry = 2 * time.Second
)

// provider holds the content of the discovery document.
type provider struct {
	oauth    oauth2.Config // without the secret
	style    oauth2.AuthStyle
	verifier *oidc.IDTokenVerifier
	logout   string // end_session_endpoint; may be empty
}

// discovery caches the result of reading the discovery document.
type discovery struct {
	lock     chan struct{} // holds an element while locked; guards the rest
	found    *provider
	err      error
	deadline time.Time // of found and err
}

// provider returns the content of the discovery document, from the cache if it is recent. Only
// one request at a time reads it.
func (c *Client) provider(ctx context.Context) (*provider, error) {
	d := &c.discovery
	select {
	case d.lock <- struct{}{}:
		defer func() { <-d.lock }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if time.Until(d.deadline) > 0 {
		return d.found, d.err
	}
	// Others wait for the document too, so it must not end with this request.
	d.found, d.err = c.discover(context.WithoutCancel(ctx))
	d.deadline = time.Now().Add(discoveryLife)
	if d.err != nil {
		d.deadline = time.Now().Add(discoveryRetry)
	}
	return d.found, d.err
}

// discover reads the discovery document (OpenID Connect Discovery 1.0, section 4).
func (c *Client) discover(ctx context.Context) (*provider, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, c.http), c.o.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		JWKS    string   `json:"jwks_uri"`
		Logout  string   `json:"end_session_endpoint"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := found.Endpoint()
	for name, at := range map[string]string{
		"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": more.JWKS,
	} {
		if err := jwt.CheckURL(at); err != nil {
			return nil, fmt.Errorf("discovery document: %s: %w", name, err)
		}
	}
	if jwt.CheckURL(more.Logout) != nil {
		more.Logout = ""
	}
	return &provider{
		oauth:    oauth2.Config{ClientID: c.o.ClientID, Endpoint: endpoint, RedirectURL: c.o.RedirectURL, Scopes: c.o.Scopes},
		style:    secretStyle(more.Methods),
		verifier: found.Verifier(&oidc.Config{ClientID: c.o.ClientID}),
		logout:   more.Logout,
	}, nil
}

// secretStyle returns how to send the client secret, by the methods that the provider supports:
// client_secret_basic, the default (Discovery 1.0, section 3), or client_secret_post.
func secretStyle(methods []string) oauth2.AuthStyle {
	if len(methods) > 0 && !slices.Contains(methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// config returns the OAuth configuration; a public client sends its id in the form.
func (p *provider) config(secret string) *oauth2.Config {
	config := p.oauth
	config.ClientSecret = secret
	config.Endpoint.AuthStyle = p.style
	if secret == "" {
		config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &config
}

// logoutPage returns the page that ends the provider's own session, or "".
func (p *provider) logoutPage(clientID string) string {
	u, err := url.Parse(p.logout)
	if p.logout == "" || err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", clientID)
	u.RawQuery = q.Encode()
	return u.String()
}
