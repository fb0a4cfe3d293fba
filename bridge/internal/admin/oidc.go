package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin/oidclogin"
	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	// oidcStart is where the page sends operators who log in with the provider, and
	// oidcCallback where the provider sends them back to.
	oidcStart    = "/login/oidc"
	oidcCallback = "/login/oidc/callback"
	// oidcCookie holds the ticket of a login that has begun.
	oidcCookie = "zws_admin_login"
	// oidcHere in the query marks a browser that was sent to admin.url already.
	oidcHere = "here"
)

// Why a login with the provider failed, beside the reasons of package oidclogin. The page
// has a text for each.
const (
	oidcRefused   = "refused"   // the chain refused the token
	oidcUntagged  = "untagged"  // the user has neither tag
	oidcUnchecked = "unchecked" // the chain could not decide
)

// OIDC is the provider that admin.oidc names.
type OIDC struct {
	client   *oidclogin.Client
	host     string // of the issuer
	settings []any  // that it was made from
}

// NewOIDC makes the client of admin.oidc, or returns old, which may be nil, if nothing has
// changed for it. It returns nil without one.
func NewOIDC(c *config.Config, old *OIDC) (*OIDC, error) {
	if c.Admin.OIDC == "" || c.Admin.Listen == "" {
		return nil, nil
	}
	sso := c.Auth[c.Admin.OIDC]
	o := &OIDC{settings: []any{c.Admin, sso}}
	if old != nil && reflect.DeepEqual(old.settings, o.settings) {
		return old, nil
	}
	settings, ok := c.JWT(c.Admin.OIDC)
	if !ok {
		return nil, fmt.Errorf("admin.oidc: [auth.%s] is not of type \"jwt\"", c.Admin.OIDC)
	}
	issuer, err := settings.Options()
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(issuer.Issuer); err == nil {
		o.host = u.Host
	}
	o.client = oidclogin.New(oidclogin.Options{
		Issuer:      issuer.Issuer,
		ClientID:    c.Admin.OIDCClientID,
		SecretFile:  string(c.Admin.OIDCClientSecretFile),
		Private:     c.Server.Private(),
		RedirectURL: c.Admin.PageURL() + oidcCallback,
		Scopes:      c.Admin.OIDCScopes,
		Params:      c.Admin.OIDCParams,
		Roots:       issuer.Roots,
		Timeout:     issuer.Timeout,
	})
	return o, nil
}

// provider returns the client of the provider, or answers the request if there is none.
func (a *admin) provider(w http.ResponseWriter) *oidclogin.Client {
	if o := a.bridge.OIDC(); o != nil {
		return o.client
	}
	http.Error(w, "no provider to log in with: see admin.oidc", http.StatusNotFound)
	return nil
}

// serveOIDCStart sends the browser to the provider, by way of the one host that the provider
// sends it back to: the cookie with the ticket is for that host.
func (a *admin) serveOIDCStart(w http.ResponseWriter, r *http.Request) {
	provider := a.provider(w)
	if provider == nil {
		return
	}
	page := a.bridge.Config().Admin.PageURL()
	if at, err := url.Parse(page); err == nil && at.Host != r.Host && !r.URL.Query().Has(oidcHere) {
		http.Redirect(w, r, page+oidcStart+"?"+oidcHere, http.StatusSeeOther)
		return
	}
	redirect, ticket, err := provider.Begin(r.Context())
	if err != nil {
		a.oidcFailed(w, r, err)
		return
	}
	a.setOIDCCookie(w, r, ticket, oidclogin.TicketLife)
	http.Redirect(w, r, redirect, http.StatusSeeOther)
}

// setOIDCCookie sets the cookie of the ticket, or deletes it if life is negative. It is Lax
// because the browser comes back from a page of the provider.
func (a *admin) setOIDCCookie(w http.ResponseWriter, r *http.Request, ticket string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name:     oidcCookie,
		Value:    ticket,
		Path:     oidcStart,
		MaxAge:   int(life.Seconds()),
		HttpOnly: true,
		Secure:   a.secure(r),
		SameSite: http.SameSiteLaxMode,
	})
}

// serveOIDCCallback logs in the user that the provider has sent back, as if the access token
// had been posted.
func (a *admin) serveOIDCCallback(w http.ResponseWriter, r *http.Request) {
	provider := a.provider(w)
	if provider == nil {
		return
	}
	ticket := ""
	if cookie, err := r.Cookie(oidcCookie); err == nil {
		ticket = cookie.Value
	}
	a.setOIDCCookie(w, r, "", -time.Second)
	login, err := a.finishOIDC(r, provider, ticket)
	if err != nil {
		a.oidcFailed(w, r, err)
		return
	}
	o, refused := a.byChainToken(r, login.AccessToken)
	if refused == nil {
		refused = a.mayRead(r, o)
	}
	if refused != nil {
		oidcBack(w, r, map[int]string{http.StatusUnauthorized: oidcRefused, http.StatusForbidden: oidcUntagged}[refused.status])
		return
	}
	if !login.Expires.IsZero() && login.Expires.Before(o.until) {
		o.until = login.Expires
	}
	o.logout = login.Logout
	a.enter(w, r, o)
}

// finishOIDC has the provider decide on a login, within the limits on refused logins: it is asked
// about the code that the browser has brought.
func (a *admin) finishOIDC(r *http.Request, provider *oidclogin.Client, ticket string) (*oidclogin.Login, error) {
	from, err := a.locate(r)
	if err != nil {
		return nil, err
	}
	ctx, done := a.bridge.Attempt(r.Context(), from.Address)
	login, err := provider.Finish(ctx, ticket, r.URL.Query())
	status := zap.OK
	if failed, ok := errors.AsType[*oidclogin.Error](err); ok {
		status = zap.Refused
		if failed.Reason == oidclogin.Unavailable {
			status = zap.Temporary
		}
	}
	done(status)
	return login, err
}

// oidcFailed logs why the provider has not logged the user in, and sends the browser back to
// the page.
func (a *admin) oidcFailed(w http.ResponseWriter, r *http.Request, err error) {
	reason := oidclogin.Failed
	if failed, ok := errors.AsType[*oidclogin.Error](err); ok {
		reason = failed.Reason
	}
	if !errors.Is(err, context.Canceled) {
		a.log.Warn("login with the OIDC provider failed", "address", a.address(r), "error", err)
	}
	oidcBack(w, r, string(reason))
}

// oidcBack sends the browser back to the page with a reason, which is one of the constants:
// nothing that the provider or the browser has sent goes into the URL.
func oidcBack(w http.ResponseWriter, r *http.Request, reason string) {
	if reason == "" {
		reason = oidcUnchecked
	}
	http.Redirect(w, r, "/#login="+reason, http.StatusSeeOther)
}
