package bridge

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	// operatorCookie holds the number under which a login at the admin page is kept.
	operatorCookie = "zws_admin"
	// operatorLife is how long such a login lasts at most.
	operatorLife = 12 * time.Hour
	// maxOperators is how many there are at the same time; the one that ends first makes
	// room for a further one.
	maxOperators = 1000
)

// operator is who asks the admin interface: what they may do there, and until when.
type operator struct {
	name  string // for the log and the page
	tags  []string
	until time.Time
	// What the login stands on: it counts for as long as that does.
	token string     // the admin token, or
	reply *zap.Reply // what the chain said
	// logout is where a login with the OIDC provider ends there too; empty if nowhere.
	logout string
}

// may tells whether the operator may do what tag stands for.
func (o *operator) may(tag string) bool {
	return slices.Contains(o.tags, tag) || slices.Contains(o.tags, tagAdministrator)
}

// refusal is why a request to the admin interface is not served.
type refusal struct {
	status int
	text   string
}

func (f *refusal) write(w http.ResponseWriter) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="zwsbridge"`)
	}
	http.Error(w, f.text, f.status)
}

// operator finds out who asks: by what the request itself shows, or by an earlier login.
func (b *Bridge) operator(r *http.Request) (*operator, *refusal) {
	if user, password, ok := r.BasicAuth(); ok {
		return b.operatorByPassword(r, user, password)
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return b.operatorByToken(r, token)
	}
	if cookie, err := r.Cookie(operatorCookie); err == nil {
		if o := b.operators.find(cookie.Value); o != nil && b.stands(o) {
			return o, nil
		}
	}
	return nil, &refusal{http.StatusUnauthorized, "want the admin token, or a login that may do this"}
}

func (b *Bridge) operatorByPassword(r *http.Request, user, password string) (*operator, *refusal) {
	return b.operatorByChain(r, zap.PLAIN, []byte(user), []byte(password))
}

func (b *Bridge) operatorByToken(r *http.Request, token string) (*operator, *refusal) {
	if b.isAdminToken(token) {
		return &operator{name: "the admin token", tags: []string{tagAdministrator}, token: token, until: time.Now().Add(operatorLife)}, nil
	}
	return b.operatorByChain(r, zap.BEARER, []byte(token))
}

// operatorByChain asks the chain, as for any login.
func (b *Bridge) operatorByChain(r *http.Request, m zap.Mechanism, credentials ...[]byte) (*operator, *refusal) {
	reply := zap.Decide(r.Context(), zap.HandlerFunc(b.judge), &zap.Request{
		Domain:      b.state.Load().config.Zap.Domain,
		Address:     remoteAddress(r.RemoteAddr).String(),
		Mechanism:   m,
		Credentials: credentials,
	})
	switch reply.Status {
	case zap.OK:
	case zap.Refused:
		return nil, &refusal{http.StatusUnauthorized, "login refused"}
	default:
		return nil, &refusal{http.StatusServiceUnavailable, "the login cannot be checked at present"}
	}
	o := &operator{name: reply.UserID, tags: strings.Fields(reply.Metadata.Get("Tags")), reply: reply, until: time.Now().Add(operatorLife)}
	end, limited, err := expiry(reply)
	switch {
	case err != nil:
		return nil, &refusal{http.StatusServiceUnavailable, "the login cannot be checked at present"}
	case limited && time.Until(end) <= 0:
		return nil, &refusal{http.StatusUnauthorized, "this login has expired"}
	case limited && end.Before(o.until):
		o.until = end
	}
	return o, nil
}

// stands tells whether an earlier login would be taken today too.
func (b *Bridge) stands(o *operator) bool {
	if o.reply == nil {
		return b.isAdminToken(o.token)
	}
	auth := b.state.Load().auth
	return auth != nil && !auth.Revoked(o.reply) && !auth.Unasked(o.reply)
}

// maxLoginForm bounds the form of a login, in octets.
const maxLoginForm = 64 << 10

// serveLogin takes a form, from the page or from a provider's own (access_token), and gives
// a cookie that no script can read and no other site can send.
func (b *Bridge) serveLogin(w http.ResponseWriter, r *http.Request) {
	if !b.mayPostLogin(r) {
		http.Error(w, "a page of this origin may not log in here: see server.origins", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "want a form with access_token, or with user and password", http.StatusBadRequest)
		return
	}
	var o *operator
	var err *refusal
	if token := r.PostForm.Get("access_token"); token != "" {
		o, err = b.operatorByToken(r, token)
	} else if user := r.PostForm.Get("user"); user != "" {
		o, err = b.operatorByPassword(r, user, r.PostForm.Get("password"))
	} else {
		err = &refusal{http.StatusBadRequest, "want a form with access_token, or with user and password"}
	}
	if err == nil {
		err = mayEnter(o)
	}
	if err != nil {
		err.write(w)
		return
	}
	b.enterOperator(w, r, o)
}

// mayEnter tells why somebody who has logged in may not see anything here; nil if they may.
func mayEnter(o *operator) *refusal {
	if o.may(tagMonitoring) {
		return nil
	}
	return &refusal{http.StatusForbidden, "this login is tagged neither monitoring nor administrator"}
}

// enterOperator keeps a login, gives its cookie and sends the browser to the page.
func (b *Bridge) enterOperator(w http.ResponseWriter, r *http.Request, o *operator) {
	from, _ := locate(r, b.state.Load().config.Server.TrustedProxies)
	http.SetCookie(w, &http.Cookie{
		Name:     operatorCookie,
		Value:    b.operators.add(o),
		Path:     "/",
		HttpOnly: true,
		Secure:   b.adminSecure(r),
		SameSite: http.SameSiteStrictMode,
	})
	b.log.Info("operator logged in", "name", o.name, "address", from.text())
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// adminSecure tells whether the browser reaches the page over TLS, so that its cookies need
// never go another way.
func (b *Bridge) adminSecure(r *http.Request) bool {
	c := b.state.Load().config
	from, err := locate(r, c.Server.TrustedProxies)
	return err == nil && from.secure || c.Admin.URL == "https://"+r.Host
}

// mayPostLogin tells whether the form comes from our own page, from one that is listed by
// name, or from the provider of tokens. Any other could use up the attempts of the address
// that it is looked at from.
func (b *Bridge) mayPostLogin(r *http.Request) bool {
	from := r.Header.Get("Origin")
	if from == "" {
		return true
	}
	origin, err := url.Parse(from)
	switch {
	case err != nil || origin.Host == "": // "null": nobody knows whose page it is
		return false
	case origin.Host == r.Host:
		return true
	}
	c := b.state.Load().config
	if slices.Contains(c.Server.Origins, from) {
		return true
	}
	for _, auth := range c.Auth {
		if s, ok := auth.Settings.(*config.JWT); ok {
			if issuer, err := url.Parse(s.Issuer); err == nil && issuer.Host != "" && from == issuer.Scheme+"://"+issuer.Host {
				return true
			}
		}
	}
	return false
}

// serveLogout forgets the login of the cookie. If it came from a provider that has a page to
// log out there too, the answer names it.
func (b *Bridge) serveLogout(w http.ResponseWriter, r *http.Request) {
	var o *operator
	if cookie, err := r.Cookie(operatorCookie); err == nil {
		o = b.operators.remove(cookie.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: operatorCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	if o == nil || o.logout == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeJSON(w, map[string]string{"oidc": o.logout})
}

// operators are the logins at the admin page, by the value of their cookie.
type operators struct {
	mu     sync.Mutex
	logins map[string]*operator
}

// add keeps a login and returns the value of its cookie.
func (l *operators) add(o *operator) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logins == nil {
		l.logins = make(map[string]*operator)
	}
	l.makeRoom()
	value := rand.Text()
	l.logins[value] = o
	return value
}

// makeRoom forgets who has expired, and then who would be next. Lock held on entry.
func (l *operators) makeRoom() {
	first := ""
	for value, o := range l.logins {
		switch {
		case time.Until(o.until) <= 0:
			delete(l.logins, value)
		case first == "" || o.until.Before(l.logins[first].until):
			first = value
		}
	}
	if len(l.logins) >= maxOperators {
		delete(l.logins, first)
	}
}

// find returns the login of a cookie; nil if there is none that has not expired.
func (l *operators) find(value string) *operator {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.logins[value]; o != nil && time.Until(o.until) > 0 {
		return o
	}
	return nil
}

// remove forgets the login of a cookie and returns it; nil if there was none.
func (l *operators) remove(value string) *operator {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.logins[value]
	delete(l.logins, value)
	return o
}
