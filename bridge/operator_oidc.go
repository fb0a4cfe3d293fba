package bridge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin/oidclogin"
	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	// oidcStart is where the page sends those who log in with the provider, and
	// oidcCallback where the provider sends them back to.
	oidcStart    = "/login/oidc"
	oidcCallback = "/login/oidc/callback"
	// oidcCookie holds the ticket of a login that has begun.
	oidcCookie = "zws_admin_login"
	// oidcHere in the query tells that the browser was sent to admin.url already.
	oidcHere = "here"
)

// Why a login with the provider came to nothing, beside the reasons of package oidclogin:
// what the page is told, which has words for it.
const (
	oidcRefused   = "refused"   // the chain does not take the token
	oidcUntagged  = "untagged"  // it does, but the user may not look here
	oidcUnchecked = "unchecked" // the chain could not decide
)

// newOIDCLogin makes the client of admin.oidc, or keeps that of old if nothing has changed
// for it; nil without one.
func newOIDCLogin(c *config.Config, old *state) (*oidclogin.Client, error) {
	if c.Admin.OIDC == "" || c.Admin.Listen == "" {
		return nil, nil
	}
	sso := c.Auth[c.Admin.OIDC]
	if old != nil && old.oidc != nil && reflect.DeepEqual([]any{old.config.Admin, old.config.Auth[c.Admin.OIDC]}, []any{c.Admin, sso}) {
		return old.oidc, nil
	}
	issuer, err := sso.Settings.(*config.JWT).Options()
	if err != nil {
		return nil, err
	}
	return oidclogin.New(oidclogin.Options{
		Issuer:      issuer.Issuer,
		ClientID:    c.Admin.OIDCClientID,
		SecretFile:  string(c.Admin.OIDCClientSecretFile),
		RedirectURL: c.Admin.PageURL() + oidcCallback,
		Scopes:      c.Admin.OIDCScopes,
		Params:      c.Admin.OIDCParams,
		Roots:       issuer.Roots,
		Timeout:     issuer.Timeout,
	}), nil
}

// serveLoginWays tells the page which ways to log in there are beside its own forms.
func (b *Bridge) serveLoginWays(w http.ResponseWriter, _ *http.Request) {
	ways := make(map[string]string)
	if st := b.state.Load(); st.oidc != nil {
		if issuer, err := url.Parse(st.config.Auth[st.config.Admin.OIDC].Settings.(*config.JWT).Issuer); err == nil {
			ways["oidc"] = issuer.Host
		}
	}
	writeJSON(w, ways)
}

// serveOIDCStart sends the browser to the provider, from the one host that the provider
// sends it back to: the cookie with the ticket is for that host.
func (b *Bridge) serveOIDCStart(w http.ResponseWriter, r *http.Request) {
	st := b.state.Load()
	if st.oidc == nil {
		http.Error(w, "there is no provider to log in with: see admin.oidc", http.StatusNotFound)
		return
	}
	page := st.config.Admin.PageURL()
	if at, err := url.Parse(page); err == nil && at.Host != r.Host && !r.URL.Query().Has(oidcHere) {
		http.Redirect(w, r, page+oidcStart+"?"+oidcHere, http.StatusSeeOther)
		return
	}
	redirect, ticket, err := st.oidc.Begin(r.Context())
	if err != nil {
		b.oidcFailed(w, r, err)
		return
	}
	b.setOIDCCookie(w, r, ticket, oidclogin.TicketLife)
	http.Redirect(w, r, redirect, http.StatusSeeOther)
}

// setOIDCCookie sets the cookie of the ticket, or takes it back. Lax, since the browser comes
// back from a page of the provider.
func (b *Bridge) setOIDCCookie(w http.ResponseWriter, r *http.Request, ticket string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name:     oidcCookie,
		Value:    ticket,
		Path:     oidcStart,
		MaxAge:   int(life.Seconds()),
		HttpOnly: true,
		Secure:   b.adminSecure(r),
		SameSite: http.SameSiteLaxMode,
	})
}

// serveOIDCCallback logs in whom the provider has sent back, as if the access token had been
// posted.
func (b *Bridge) serveOIDCCallback(w http.ResponseWriter, r *http.Request) {
	st := b.state.Load()
	if st.oidc == nil {
		http.Error(w, "there is no provider to log in with: see admin.oidc", http.StatusNotFound)
		return
	}
	ticket := ""
	if cookie, err := r.Cookie(oidcCookie); err == nil {
		ticket = cookie.Value
	}
	b.setOIDCCookie(w, r, "", -time.Second)
	login, err := st.oidc.Finish(r.Context(), ticket, r.URL.Query())
	if err != nil {
		b.oidcFailed(w, r, err)
		return
	}
	o, refused := b.operatorByChain(r, zap.BEARER, []byte(login.AccessToken))
	if refused == nil {
		refused = mayEnter(o)
	}
	if refused != nil {
		b.log.Info("operator refused", "address", remoteAddress(r.RemoteAddr).String(), "error", refused.text)
		oidcBack(w, r, map[int]string{http.StatusUnauthorized: oidcRefused, http.StatusForbidden: oidcUntagged}[refused.status])
		return
	}
	if !login.Expires.IsZero() && login.Expires.Before(o.until) {
		o.until = login.Expires
	}
	o.logout = login.Logout
	b.enterOperator(w, r, o)
}

// oidcFailed logs why the provider let nobody in, and sends the browser back to the page.
func (b *Bridge) oidcFailed(w http.ResponseWriter, r *http.Request, err error) {
	reason := oidclogin.Failed
	if failed, ok := errors.AsType[*oidclogin.Error](err); ok {
		reason = failed.Reason
	}
	if !errors.Is(err, context.Canceled) {
		b.log.Warn("login with the OIDC provider failed", "address", remoteAddress(r.RemoteAddr).String(), "error", err)
	}
	oidcBack(w, r, string(reason))
}

// oidcBack sends the browser back to the page, which has words for the reason. Nothing of
// what the provider or the browser has sent goes there.
func oidcBack(w http.ResponseWriter, r *http.Request, reason string) {
	if reason == "" {
		reason = oidcUnchecked
	}
	http.Redirect(w, r, "/#login="+reason, http.StatusSeeOther)
}
