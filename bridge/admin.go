package bridge

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/admin/page"
	"github.com/zwsbridge/zwsbridge/certs"
)

// The tags of a user (ZAP metadata Tags) that open the admin interface.
const (
	tagMonitoring    = "monitoring"    // may look
	tagAdministrator = "administrator" // may look and change
)

// maxAdminBody bounds the body of a request that changes something, in octets.
const maxAdminBody = 64 << 10

// maxAdminToken bounds the file of the admin token, in octets.
const maxAdminToken = 4 << 10

// AdminHandler serves what operators ask, for a listener of its own:
//
//	GET  /livez, /readyz   without credentials, from this machine only
//	GET  /metrics          the same; Prometheus
//	GET  /                 a page that shows the rest to people; it holds nothing itself
//	POST /login            a form with access_token, or with user and password: a cookie
//	GET  /login            JSON: the host of an OIDC provider to log in with, if there is one
//	GET  /login/oidc       sends the browser there; it comes back to /login/oidc/callback
//	POST /logout           JSON {}: ends it
//	GET  /summary          JSON: who asks, connections, counts by route and by code
//	GET  /sessions         JSON, one object a session
//	GET  /backends         JSON, one object an endpoint or a peer that has dialled in
//	GET  /identities       JSON, ?user= or ?id= of a token endpoint's identity_map
//	POST /sessions/kick    JSON {"session": 7} or {"user": "alice"}: ends them with 4401
//
// Everything from /summary on wants, as a Bearer token, by Basic or by the
// cookie of a login, the token of admin.token_file or a login that the ZAP chain tags
// "monitoring" (to look) or "administrator" (to change). It answers only Hosts that it is
// known by, so that no page of another name can be resolved to it.
func (b *Bridge) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(b.metrics.registry, promhttp.HandlerOpts{})
	mux.Handle("GET /metrics", b.look(metrics))
	mux.Handle("GET /livez", b.look(http.HandlerFunc(b.serveLive)))
	mux.Handle("GET /readyz", b.look(http.HandlerFunc(b.serveReady)))
	static := page.Handler()
	for _, path := range page.Paths {
		mux.Handle("GET "+path, static)
	}
	mux.HandleFunc("POST /login", b.serveLogin)
	mux.HandleFunc("GET /login", b.serveLoginWays)
	mux.HandleFunc("GET "+oidcStart, b.serveOIDCStart)
	mux.HandleFunc("GET "+oidcCallback, b.serveOIDCCallback)
	mux.Handle("POST /logout", ownPage(http.HandlerFunc(b.serveLogout)))
	mux.Handle("GET /summary", b.permit(tagMonitoring, b.serveSummary))
	mux.Handle("GET /sessions", b.permit(tagMonitoring, b.serveSessions))
	mux.Handle("GET /backends", b.permit(tagMonitoring, b.serveBackends))
	mux.Handle("GET /identities", b.permit(tagMonitoring, b.serveIdentities))
	mux.Handle("POST /sessions/kick", b.permit(tagAdministrator, b.serveKick))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.knownHost(r) {
			http.Error(w, "this Host is not served here: see admin.hosts", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer") // a code stands in a URL
		mux.ServeHTTP(w, r)
	})
}

// knownHost tells whether the request means this listener by a name that it has.
func (b *Bridge) knownHost(r *http.Request) bool {
	name := r.Host
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		name = host
	}
	known := func(host string) bool { return strings.EqualFold(host, r.Host) || strings.EqualFold(host, name) }
	if strings.EqualFold(name, "localhost") || slices.ContainsFunc(b.state.Load().config.Admin.Hosts, known) {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && remoteAddress(name).IsValid() && remoteAddress(name) == remoteAddress(local.String())
}

// look lets programs on this machine in, and from elsewhere those who may look.
func (b *Bridge) look(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, err := locate(r, nil); err == nil && from.local {
			h.ServeHTTP(w, r)
		} else if _, ok := b.authorized(w, r, tagMonitoring); ok {
			h.ServeHTTP(w, r)
		}
	})
}

// permit lets those in who have the tag, and changes only from no other page than our own.
func (b *Bridge) permit(tag string, h func(http.ResponseWriter, *http.Request, *operator)) http.Handler {
	return ownPage(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o, ok := b.authorized(w, r, tag); ok {
			h(w, r, o)
		}
	}))
}

// ownPage has a request that changes something be JSON from no other page than our own,
// which no form of a foreign page can make.
func ownPage(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if kind != "application/json" {
				http.Error(w, "want Content-Type: application/json", http.StatusUnsupportedMediaType)
				return
			}
			if origin, err := url.Parse(r.Header.Get("Origin")); r.Header.Get("Origin") != "" && (err != nil || origin.Host != r.Host) {
				http.Error(w, "a page of another origin may not change anything here", http.StatusForbidden)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// authorized tells who asks and whether they may do what tag stands for, and answers the
// request if not.
func (b *Bridge) authorized(w http.ResponseWriter, r *http.Request, tag string) (*operator, bool) {
	o, err := b.operator(r)
	if err == nil && !o.may(tag) {
		err = &refusal{http.StatusForbidden, "this login may not do this: it is not tagged " + tag}
	}
	if err != nil {
		err.write(w)
		return nil, false
	}
	return o, true
}

// isAdminToken compares with the token file, which is read each time: a changed token
// counts at once.
func (b *Bridge) isAdminToken(token string) bool {
	file := b.state.Load().config.Admin.TokenFile
	if file == "" {
		return false
	}
	text, err := certs.ReadPrivate(string(file), maxAdminToken)
	if err != nil {
		b.log.Error("admin token cannot be read", "error", err)
		return false
	}
	want := strings.TrimSpace(string(text))
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(token)) == 1
}

func (b *Bridge) serveLive(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n")
}

// serveReady tells whether clients can be served: 503 while we shut down, or while a route
// whose clients share a connection has no backend.
func (b *Bridge) serveReady(w http.ResponseWriter, _ *http.Request) {
	var waiting []string
	for _, r := range b.state.Load().sorted() {
		if u, ok := r.upstream.(*shared); ok && r.config.Ready != config.ReadyNone && len(r.config.Bind) == 0 && !u.ready() {
			waiting = append(waiting, r.config.Path)
		}
	}
	switch {
	case b.ctx.Err() != nil:
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
	case len(waiting) > 0:
		http.Error(w, "no backend: "+strings.Join(waiting, " "), http.StatusServiceUnavailable)
	default:
		_, _ = io.WriteString(w, "ok\n")
	}
}

func (b *Bridge) serveSessions(w http.ResponseWriter, _ *http.Request, _ *operator) {
	writeJSON(w, b.Sessions())
}

func (b *Bridge) serveBackends(w http.ResponseWriter, _ *http.Request, _ *operator) {
	writeJSON(w, b.Backends())
}

// kick is the body of POST /sessions/kick: one of the two.
type kick struct {
	Session uint64 `json:"session"`
	User    string `json:"user"`
}

func (b *Bridge) serveKick(w http.ResponseWriter, r *http.Request, o *operator) {
	var k kick
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil {
		http.Error(w, `want {"session": number} or {"user": "name"}: `+err.Error(), http.StatusBadRequest)
		return
	}
	n, err := b.Kick(k.Session, k.User)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.log.Info("sessions kicked", "by", o.name, "session", k.Session, "user", k.User, "number", n)
	writeJSON(w, map[string]int{"kicked": n})
}

var errKick = errors.New("want a session's number or a user's name, and not both")

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
