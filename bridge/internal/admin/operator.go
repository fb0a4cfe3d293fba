package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

const (
	// operatorCookie holds the key under which a login at the page is kept.
	operatorCookie = "zws_admin"
	// operatorLife is the longest time that such a login lasts.
	operatorLife = 12 * time.Hour
	// maxOperators bounds the logins kept at a time; the one that ends first makes room.
	maxOperators = 1000
	// maxToken bounds the file of the admin token, in bytes.
	maxToken = 4 << 10
)

// operator is an authenticated user of the operators' interface.
type operator struct {
	name  string // for the log and the page
	tags  []string
	until time.Time
	// The login holds as long as what it was made from: the admin token, or the reply of the
	// chain.
	token string
	reply *zap.Reply
	// logout is the provider's page to log out at; empty if there is none.
	logout string
}

// may reports whether the operator has the tag.
func (o *operator) may(tag string) bool {
	return slices.Contains(o.tags, tag) || slices.Contains(o.tags, tagAdministrator)
}

// denial is why a request is not served.
type denial struct {
	status int
	text   string
	retry  time.Duration // when to try again; 0 = unknown
}

func (f *denial) write(w http.ResponseWriter) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="zwsbridge"`)
	}
	if f.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retry/time.Second)))
	}
	http.Error(w, f.text, f.status)
}

// operator authenticates the request: by the credentials that it carries, or by an earlier
// login.
func (a *admin) operator(r *http.Request) (*operator, *denial) {
	if user, password, ok := r.BasicAuth(); ok {
		return a.byPassword(r, user, password)
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return a.byToken(r, token)
	}
	if cookie, err := r.Cookie(operatorCookie); err == nil {
		if o := a.operators.find(cookie.Value); o != nil && a.stillValid(o) {
			return o, nil
		}
	}
	if onSocket(r) {
		return socketOperator, nil
	}
	return nil, &denial{status: http.StatusUnauthorized, text: "authentication required: the admin token, or a login tagged monitoring or administrator"}
}

// hasCredentials reports whether a request comes from an operator, who can be refused.
func hasCredentials(r *http.Request) bool {
	_, err := r.Cookie(operatorCookie)
	return err == nil || r.Header.Get("Authorization") != "" || onSocket(r)
}

func (a *admin) byPassword(r *http.Request, user, password string) (*operator, *denial) {
	req, refused := a.request(r, zap.PLAIN, []byte(user), []byte(password))
	if refused != nil {
		return nil, refused
	}
	return a.judged(req, a.bridge.Authenticate(r.Context(), req))
}

// judged turns the decision about a login into an operator, and records a refusal.
func (a *admin) judged(req *zap.Request, reply *zap.Reply) (*operator, *denial) {
	o, err := operatorOf(reply)
	if err != nil {
		a.bridge.Refused(refusal.Refusal{
			Kind: refusal.Operator, User: refusal.Claimed(req.Mechanism, req.Credentials), Address: req.Address,
			Code: err.status, Reason: err.text, Error: reply.Text, Authenticator: reply.Authenticator, Mechanism: string(req.Mechanism),
		})
	}
	return o, err
}

// byToken takes the admin token, or a token that the chain accepts.
func (a *admin) byToken(r *http.Request, token string) (*operator, *denial) {
	if a.bridge.Config().Admin.TokenFile == "" {
		return a.byChainToken(r, token)
	}
	req, refused := a.request(r, zap.BEARER, []byte(token))
	if refused != nil {
		return nil, refused
	}
	reply, matched := a.bridge.AuthenticateToken(r.Context(), req, func() bool { return a.isAdminToken(token) })
	if matched {
		return &operator{name: "the admin token", tags: []string{tagAdministrator}, token: token, until: time.Now().Add(operatorLife)}, nil
	}
	return a.judged(req, reply)
}

// byChainToken takes a token that the chain accepts.
func (a *admin) byChainToken(r *http.Request, token string) (*operator, *denial) {
	req, refused := a.request(r, zap.BEARER, []byte(token))
	if refused != nil {
		return nil, refused
	}
	return a.judged(req, a.bridge.Authenticate(r.Context(), req))
}

// request makes a ZAP request of credentials, as for any login.
func (a *admin) request(r *http.Request, m zap.Mechanism, credentials ...[]byte) (*zap.Request, *denial) {
	from, err := a.locate(r)
	if err != nil {
		return nil, &denial{status: http.StatusBadRequest, text: err.Error()}
	}
	return &zap.Request{
		Domain:      a.bridge.Config().Zap.Domain,
		Address:     from.String(),
		Mechanism:   m,
		Credentials: credentials,
	}, nil
}

// operatorOf turns the decision about a login into an operator.
func operatorOf(reply *zap.Reply) (*operator, *denial) {
	switch reply.Status {
	case zap.OK:
	case zap.Refused:
		return nil, &denial{status: http.StatusUnauthorized, text: "login refused"}
	default:
		return nil, undecided(reply.Cause)
	}
	o := &operator{name: reply.UserID, tags: strings.Fields(reply.Metadata.Get("Tags")), reply: reply, until: time.Now().Add(operatorLife)}
	end, limited, err := reply.Metadata.Expires()
	switch {
	case err != nil:
		return nil, undecided(nil)
	case limited && time.Until(end) <= 0:
		return nil, &denial{status: http.StatusUnauthorized, text: "this login has expired"}
	case limited && end.Before(o.until):
		o.until = end
	}
	return o, nil
}

// undecided is the refusal of a login that was not judged, with the time to try again.
func undecided(cause error) *denial {
	if tooMany, ok := errors.AsType[*zws.CloseError](cause); ok && tooMany.Code == zws.CodeTooMany {
		return &denial{http.StatusTooManyRequests, tooMany.Reason, time.Minute}
	}
	f := &denial{http.StatusServiceUnavailable, "the login cannot be checked at present: try again later", 0}
	if busy, ok := errors.AsType[*zap.BusyError](cause); ok {
		f.retry = busy.RetryAfter
	}
	return f
}

// locate returns where a request came from, behind the proxies of server.trusted_proxies.
func (a *admin) locate(r *http.Request) (clientaddr.Client, error) {
	return clientaddr.Locate(r, a.bridge.Config().Server.TrustedProxies)
}

// address returns where a request came from, for the log.
func (a *admin) address(r *http.Request) string {
	from, err := a.locate(r)
	if err != nil {
		return clientaddr.Parse(r.RemoteAddr).String()
	}
	return from.String()
}

// stillValid reports whether an earlier login would succeed now too.
func (a *admin) stillValid(o *operator) bool {
	if o.reply == nil {
		return a.isAdminToken(o.token)
	}
	return a.bridge.StillValid(o.reply)
}

// isAdminToken compares with the token file, which is read each time so that a changed token
// counts at once.
func (a *admin) isAdminToken(token string) bool {
	c := a.bridge.Config()
	file := c.Admin.TokenFile
	if file == "" {
		return false
	}
	text, err := c.Server.Private().Read(string(file), maxToken)
	if err != nil {
		a.log.Error("reading the admin token failed", "error", err)
		return false
	}
	want := strings.TrimSpace(string(text))
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(token)) == 1
}

// operators are the logins at the page, by the value of their cookie.
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

// makeRoom removes expired logins, and at the bound the next to expire. Lock held on entry.
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

// find returns the login of a cookie; nil if there is none or it has expired.
func (l *operators) find(value string) *operator {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.logins[value]; o != nil && time.Until(o.until) > 0 {
		return o
	}
	return nil
}

// remove forgets the login of a cookie and returns it; nil if there is none.
func (l *operators) remove(value string) *operator {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.logins[value]
	delete(l.logins, value)
	return o
}
