package admin

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/internal/admin/page"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
)

// The tags of a user (ZAP metadata Tags) that open the operators' interface.
const (
	tagMonitoring    = "monitoring"    // may read
	tagAdministrator = "administrator" // may read and change
)

// maxBody bounds the body of a request that changes something, in bytes.
const maxBody = 64 << 10

// admin is the operators' interface of one bridge.
type admin struct {
	bridge    Source
	metrics   *metrics.Metrics
	log       *slog.Logger
	operators operators
}

// New returns the operators' interface, for a listener of its own:
//
//	GET  /livez            without credentials
//	GET  /readyz           without credentials, 503 if no clients can be served; the reasons as JSON,
//	                       see Readiness, on this machine and for operators
//	GET  /metrics          without credentials from this machine only; Prometheus
//	GET  /                 a page that shows the rest to people; it holds no data itself
//	POST /login            a form with access_token, or with user and password: a cookie
//	GET  /login            JSON: the host of an OIDC provider to log in with, if there is one
//	GET  /login/oidc       sends the browser there; it comes back to /login/oidc/callback
//	POST /logout           JSON {}: ends it
//	GET  /summary          JSON: the operator, problems, connections, counts by route and by code
//	GET  /sessions         JSON, one object a session; ?user=, ?route=, ?address= (or a network) and
//	                       ?search= filter, ?sort= orders, ?limit= and ?after= page, see SessionList
//	GET  /backends         JSON, one object an endpoint, an inbound backend or a source that fails;
//	                       of each session where these have their own, unless ?group=endpoint
//	GET  /sources          JSON, one object a source of endpoints: srv://, dnssd://, connect_file
//	GET  /refusals         JSON, the last 200 refusals, newest first; ?user= and ?address= (or a network)
//	GET  /identities       JSON, ?user= or ?id= of a token endpoint's identity_map
//	GET  /history          JSON, one object a route with a history
//	GET  /queues           JSON, one object a permanent queue
//	GET  /debug/pprof/NAME for administrators: heap, profile?seconds=30, … for go tool pprof
//	POST /sessions/kick    JSON {"session": 7} or {"user": "alice"}: ends them with 4401
//	POST /reload           JSON {}: applies the configuration file again, see Reloaded
//	POST /routes/connect   JSON {"route": "/d", "endpoint": "tcp://…"}, and "server_key" with CURVE
//	POST /routes/disconnect  the same: until a reload or start if the configuration names it
//	POST /queues/delete    JSON {"route": "/d", "user": "alice", "name": ""}: ends its client too
//	POST /history/forget   JSON {"route": "/d", "topic": "house/1/t"}: what is kept of the topic
//
// Everything from /summary on needs, as a Bearer token, by Basic or by the cookie of a login,
// the token of admin.token_file or a login that the ZAP chain tags "monitoring" (to read) or
// "administrator" (to change). Only Hosts that the listener is known by are answered, so that
// a page cannot reach it by resolving another name to its address.
func New(bridge Source, m *metrics.Metrics, log *slog.Logger) http.Handler {
	a := &admin{bridge: bridge, metrics: m, log: log}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.localOrMonitoring(m.Handler()))
	mux.HandleFunc("GET /livez", serveLive)
	mux.HandleFunc("GET /readyz", a.serveReady)
	static := page.Handler()
	for _, path := range page.Paths {
		mux.Handle("GET "+path, static)
	}
	mux.HandleFunc("POST /login", a.serveLogin)
	mux.HandleFunc("GET /login", a.serveLoginWays)
	mux.HandleFunc("GET "+oidcStart, a.serveOIDCStart)
	mux.HandleFunc("GET "+oidcCallback, a.serveOIDCCallback)
	mux.Handle("POST /logout", sameOrigin(http.HandlerFunc(a.serveLogout)))
	read := func(path string, h func(http.ResponseWriter, *http.Request, *operator), parameters ...string) {
		mux.Handle("GET "+path, a.permit(tagMonitoring, func(w http.ResponseWriter, r *http.Request, o *operator) {
			if checkQuery(w, r, parameters) {
				h(w, r, o)
			}
		}))
	}
	read("/summary", a.serveSummary)
	read("/sessions", a.serveSessions, sessionParameters...)
	read("/backends", a.serveBackends, backendParameters...)
	read("/sources", a.serveSources)
	read("/refusals", a.serveRefusals, "user", "address")
	read("/identities", a.serveIdentities, "user", "id")
	read("/history", a.serveHistory)
	read("/queues", a.serveQueues)
	mux.Handle("GET /debug/pprof/{name}", a.permit(tagAdministrator, a.serveProfile))
	mux.Handle("POST /sessions/kick", a.permit(tagAdministrator, a.serveKick))
	mux.Handle("POST /reload", a.permit(tagAdministrator, a.serveReload))
	mux.Handle("POST /routes/connect", a.permit(tagAdministrator, a.serveConnect))
	mux.Handle("POST /routes/disconnect", a.permit(tagAdministrator, a.serveDisconnect))
	mux.Handle("POST /queues/delete", a.permit(tagAdministrator, a.serveDeleteQueue))
	mux.Handle("POST /history/forget", a.permit(tagAdministrator, a.serveForget))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.knownHost(r) {
			http.Error(w, "this Host is not served here: see admin.hosts", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer") // the callback's URL holds a code
		mux.ServeHTTP(w, r)
	})
}

// knownHost reports whether the Host of the request is a name or address of this listener.
func (a *admin) knownHost(r *http.Request) bool {
	if onSocket(r) {
		return true
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		name = host
	}
	known := func(host string) bool { return strings.EqualFold(host, r.Host) || strings.EqualFold(host, name) }
	if strings.EqualFold(name, "localhost") || slices.ContainsFunc(a.bridge.Config().Admin.Hosts, known) {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && clientaddr.Parse(name).IsValid() && clientaddr.Parse(name) == clientaddr.Parse(local.String())
}

// localOrMonitoring serves programs on this machine, and others that may read.
func (a *admin) localOrMonitoring(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local(r) {
			h.ServeHTTP(w, r)
		} else if _, ok := a.authorized(w, r, tagMonitoring); ok {
			h.ServeHTTP(w, r)
		}
	})
}

// local reports whether a program on this machine sent the request without a proxy.
func local(r *http.Request) bool {
	from, err := clientaddr.Locate(r, nil)
	return err == nil && from.Local
}

// permit serves operators that have the tag.
func (a *admin) permit(tag string, h func(http.ResponseWriter, *http.Request, *operator)) http.Handler {
	return sameOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o, ok := a.authorized(w, r, tag); ok {
			h(w, r, o)
		}
	}))
}

// sameOrigin refuses requests that change something unless they are JSON, which a form on
// another page cannot send, and come from a page of this origin or from a program.
func sameOrigin(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if kind != "application/json" {
				http.Error(w, "want Content-Type: application/json", http.StatusUnsupportedMediaType)
				return
			}
			if origin, err := url.Parse(r.Header.Get("Origin")); r.Header.Get("Origin") != "" && (err != nil || origin.Host != r.Host) {
				http.Error(w, "pages of another origin must not change anything here", http.StatusForbidden)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// authorized returns the operator, or answers the request and reports false if the operator
// is unknown or does not have the tag.
func (a *admin) authorized(w http.ResponseWriter, r *http.Request, tag string) (*operator, bool) {
	o, err := a.operator(r)
	if err == nil && !o.may(tag) {
		err = a.untagged(r, o, "not permitted: this login is not tagged "+tag)
	}
	if err != nil {
		err.write(w)
		return nil, false
	}
	return o, true
}

func serveLive(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n")
}

// serveReady answers a load balancer, which has no credentials, by the status alone: the reasons
// name routes and authenticators.
func (a *admin) serveReady(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, "ready"
	ready := a.bridge.Readiness()
	if len(ready.Unready) > 0 {
		status, text = http.StatusServiceUnavailable, "not ready"
	}
	if !local(r) {
		if !hasCredentials(r) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text+"\n")
			return
		}
		if _, ok := a.authorized(w, r, tagMonitoring); !ok {
			return
		}
	}
	if ready.Degraded == nil {
		ready.Degraded = []string{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeJSON(w, ready)
}

func (a *admin) serveSources(w http.ResponseWriter, _ *http.Request, _ *operator) {
	writeJSON(w, a.bridge.Finders())
}

func (a *admin) serveRefusals(w http.ResponseWriter, r *http.Request, _ *operator) {
	writeJSON(w, a.bridge.Refusals(r.FormValue("user"), r.FormValue("address")))
}

func (a *admin) serveIdentities(w http.ResponseWriter, r *http.Request, _ *operator) {
	found, err := a.bridge.Identities(r.FormValue("user"), r.FormValue("id"))
	switch {
	case errors.Is(err, ErrQuery):
		http.Error(w, "want user or id, and not both", http.StatusBadRequest)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		writeJSON(w, found)
	}
}

// kick is the body of POST /sessions/kick: one of the two.
type kick struct {
	Session uint64 `json:"session"`
	User    string `json:"user"`
}

func (a *admin) serveKick(w http.ResponseWriter, r *http.Request, o *operator) {
	var k kick
	if !readBody(w, r, &k, `want {"session": number} or {"user": "name"}`) {
		return
	}
	n, err := a.bridge.Kick(k.Session, k.User)
	if err != nil {
		http.Error(w, "want the number of a session or the name of a user, and not both", http.StatusBadRequest)
		return
	}
	a.log.Info("sessions kicked", "by", o.name, "session", k.Session, "user", printable.ParseName(k.User), "number", n)
	writeJSON(w, map[string]int{"kicked": n})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
