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

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
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
//	GET  /sessions         JSON, one object a session
//	GET  /backends         JSON, one object an endpoint or a peer that has dialled in
//	POST /sessions/kick    JSON {"session": 7} or {"user": "alice"}: ends them with 4401
//
// Everything else than the first two lines wants, as a Bearer token or by Basic, the token
// of admin.token_file or a login that the ZAP chain tags "monitoring" (to look) or
// "administrator" (to change). It answers only Hosts that it is known by, so that no
// page of another name can be resolved to it.
func (b *Bridge) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(b.metrics.registry, promhttp.HandlerOpts{})
	mux.Handle("GET /metrics", b.look(metrics))
	mux.Handle("GET /livez", b.look(http.HandlerFunc(b.serveLive)))
	mux.Handle("GET /readyz", b.look(http.HandlerFunc(b.serveReady)))
	mux.Handle("GET /sessions", b.permit(tagMonitoring, b.serveSessions))
	mux.Handle("GET /backends", b.permit(tagMonitoring, b.serveBackends))
	mux.Handle("POST /sessions/kick", b.permit(tagAdministrator, b.serveKick))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.knownHost(r) {
			http.Error(w, "this Host is not served here: see admin.hosts", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// knownHost tells whether the request means this listener by a name that it has.
func (b *Bridge) knownHost(r *http.Request) bool {
	admin := b.state.Load().config.Admin
	if slices.Contains(admin.Hosts, r.Host) {
		return true
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		name = host
	}
	if name == "localhost" || slices.Contains(admin.Hosts, name) {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && remoteAddress(name).IsValid() && remoteAddress(name) == remoteAddress(local.String())
}

// look lets programs on this machine in, and from elsewhere those who may look.
func (b *Bridge) look(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, err := locate(r, nil); err == nil && from.local || b.authorized(w, r, tagMonitoring) {
			h.ServeHTTP(w, r)
		}
	})
}

// permit lets those in who have the tag. A request that changes something must be JSON
// from no other page than our own, which no form of a foreign page can make.
func (b *Bridge) permit(tag string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.authorized(w, r, tag) {
			return
		}
		if r.Method != http.MethodGet {
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
		h(w, r)
	})
}

// authorized tells whether the request may do what tag stands for, and answers it if not.
func (b *Bridge) authorized(w http.ResponseWriter, r *http.Request, tag string) bool {
	req := &zap.Request{Domain: b.state.Load().config.Zap.Domain, Address: remoteAddress(r.RemoteAddr).String()}
	if user, password, ok := r.BasicAuth(); ok {
		req.Mechanism, req.Credentials = zap.PLAIN, [][]byte{[]byte(user), []byte(password)}
	} else if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if b.isAdminToken(token) {
			return true
		}
		req.Mechanism, req.Credentials = zap.BEARER, [][]byte{[]byte(token)}
	} else {
		w.Header().Set("WWW-Authenticate", `Bearer realm="zwsbridge"`)
		http.Error(w, "want the admin token, or a login that may do this", http.StatusUnauthorized)
		return false
	}
	reply := zap.Decide(r.Context(), zap.HandlerFunc(b.judge), req)
	tags := strings.Fields(reply.Metadata.Get("Tags"))
	switch {
	case reply.Status == zap.Temporary || reply.Status == zap.Internal:
		http.Error(w, "the login cannot be checked at present", http.StatusServiceUnavailable)
	case reply.Status != zap.OK:
		http.Error(w, "login refused", http.StatusUnauthorized)
	case !slices.Contains(tags, tag) && !slices.Contains(tags, tagAdministrator):
		http.Error(w, "this login may not do this: it is not tagged "+tag, http.StatusForbidden)
	default:
		return true
	}
	return false
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
		if u, ok := r.upstream.(*shared); ok && r.config.Ready != ReadyNone && len(r.config.Bind) == 0 && !u.ready() {
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

func (b *Bridge) serveSessions(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, b.Sessions())
}

func (b *Bridge) serveBackends(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, b.Backends())
}

// kick is the body of POST /sessions/kick: one of the two.
type kick struct {
	Session uint64 `json:"session"`
	User    string `json:"user"`
}

func (b *Bridge) serveKick(w http.ResponseWriter, r *http.Request) {
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
	b.log.Info("sessions kicked", "session", k.Session, "user", k.User, "number", n)
	writeJSON(w, map[string]int{"kicked": n})
}

var errKick = errors.New("want a session's number or a user's name, and not both")

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
