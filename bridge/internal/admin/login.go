package admin

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/zws"
)

// maxLoginForm bounds the form of a login, in bytes.
const maxLoginForm = 64 << 10

// loginWays are the ways to log in, for the page: it shows one, and the others on demand.
type loginWays struct {
	OIDC string `json:"oidc,omitempty"` // the host of the provider of admin.oidc
	Form string `json:"form"`           // the form that will do for most operators: password or token
}

// serveLoginWays answers with the ways to log in. A password will do where something that can tag users
// judges it; otherwise operators have the admin token or the token of a provider.
func (a *admin) serveLoginWays(w http.ResponseWriter, _ *http.Request) {
	ways := loginWays{Form: "token"}
	if o := a.bridge.OIDC(); o != nil {
		ways.OIDC = o.host
	}
	c := a.bridge.Config()
	for _, entry := range c.Zap.Chain {
		switch c.Auth[entry.Authn].Settings.(type) {
		case *config.HTTP, *config.Remote:
			ways.Form = "password"
		}
	}
	writeJSON(w, ways)
}

// serveLogin takes a form, from the page or from a provider's own (access_token), and sets a
// cookie that no script can read and no other site can send.
func (a *admin) serveLogin(w http.ResponseWriter, r *http.Request) {
	if !a.mayPostLogin(r) {
		http.Error(w, "pages of this origin must not log in here: see server.origins", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginForm)
	o, err := a.readLogin(r)
	if err == nil {
		err = a.mayRead(r, o)
	}
	if err != nil {
		err.write(w)
		return
	}
	a.enter(w, r, o)
}

func (a *admin) readLogin(r *http.Request) (*operator, *denial) {
	if err := r.ParseForm(); err == nil {
		if token := r.PostForm.Get("access_token"); token != "" {
			return a.byToken(r, token)
		}
		if user := r.PostForm.Get("user"); user != "" {
			return a.byPassword(r, user, r.PostForm.Get("password"))
		}
	}
	return nil, &denial{status: http.StatusBadRequest, text: "want a form with access_token, or with user and password"}
}

// mayRead returns, and records, why a login does not open the interface; nil if it does.
func (a *admin) mayRead(r *http.Request, o *operator) *denial {
	if o.may(tagMonitoring) {
		return nil
	}
	return a.untagged(r, o, "this login is tagged neither monitoring nor administrator")
}

// untagged records an operator without a tag that the request needs.
func (a *admin) untagged(r *http.Request, o *operator, text string) *denial {
	d := &denial{status: http.StatusForbidden, text: text}
	a.bridge.Refused(refusal.Refusal{Kind: refusal.Operator, User: o.name, Address: a.address(r), Code: d.status, Reason: d.text})
	return d
}

// enter keeps a login, sets its cookie and sends the browser to the page.
func (a *admin) enter(w http.ResponseWriter, r *http.Request, o *operator) {
	http.SetCookie(w, &http.Cookie{
		Name:     operatorCookie,
		Value:    a.operators.add(o),
		Path:     "/",
		HttpOnly: true,
		Secure:   a.secure(r),
		SameSite: http.SameSiteStrictMode,
	})
	a.log.Info("operator logged in", "name", o.name, "address", a.address(r))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// secure reports whether the browser reaches the page over TLS only.
func (a *admin) secure(r *http.Request) bool {
	c := a.bridge.Config()
	from, err := a.locate(r)
	return err == nil && from.Secure || c.Admin.URL == "https://"+r.Host
}

// mayPostLogin reports whether the form comes from a program, from the page itself, from a
// page that server.origins lists by name, or from an issuer of tokens. Any other page could
// use up the login attempts of the address that it is viewed from.
func (a *admin) mayPostLogin(r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from == "" {
		return true
	}
	origin, err := url.Parse(from)
	switch {
	case err != nil || origin.Host == "": // "null": an opaque origin
		return false
	case origin.Host == r.Host:
		return true
	}
	c := a.bridge.Config()
	_, named := zws.MatchOrigin(c.Server.Origins, from)
	return named || slices.ContainsFunc(c.Issuers(), func(issuer string) bool {
		u, err := url.Parse(issuer)
		return err == nil && u.Host != "" && from == u.Scheme+"://"+u.Host
	})
}

// serveLogout forgets the login of the cookie. The answer names the provider's page to log
// out at, if the login came from one that has it.
func (a *admin) serveLogout(w http.ResponseWriter, r *http.Request) {
	var o *operator
	if cookie, err := r.Cookie(operatorCookie); err == nil {
		o = a.operators.remove(cookie.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: operatorCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	if o == nil || o.logout == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeJSON(w, map[string]string{"oidc": o.logout})
}
