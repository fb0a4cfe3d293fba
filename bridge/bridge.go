package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/accept"
	"github.com/zwsbridge/zwsbridge/bridge/internal/auth"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/bridge/internal/conn"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/printable"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/bridge/internal/repeat"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// Options are what a program gives a [Bridge] beside its configuration. The zero value will
// do.
type Options struct {
	// Logger gets a line for each session, login and change of a backend, and no secret.
	// Nil means slog.Default().
	Logger *slog.Logger
	// Handler, if not nil, judges every login instead of the chain that the configuration
	// names. If it is a [zap.Revoker], live sessions end when it revokes their logins.
	Handler zap.Handler
	// Registerer, if not nil, has the bridge's metrics registered too, so that the program
	// serves them with its own. The operators' interface serves them in any case.
	Registerer prometheus.Registerer
	// CertificateExpiry, if not nil, returns when the TLS certificate of the program's listener, or
	// an earlier one of its chain, expires, for the metrics; zero = unknown. It must not block.
	CertificateExpiry func() time.Time
	// Reload, if not nil, is called when an operator asks for a reload of the configuration file;
	// it calls [Bridge.Reload].
	Reload func(context.Context) (Reloaded, error)
	// Socket, if not nil, returns for an endpoint of bind or zap.listen a socket that another process
	// has handed over ([Bridge.Listeners]), as [zmtp.ListenOptions] has it.
	Socket func(network, address string) net.Listener
	// Exclusive, if not nil, is called before files are opened that one process only can have
	// open: another process that has them calls [Bridge.Release] now.
	Exclusive func() error
	// Predecessor, if not nil, returns how many connections the process has left that hands over.
	Predecessor func() int
}

// Bridge serves the routes of a configuration to WebSocket clients. All methods may be called
// concurrently.
type Bridge struct {
	options     Options
	metrics     *metrics.Metrics
	failures    *auth.Failures // judges every login: the chain in force behind its limits
	connections *conn.Set
	gate        *accept.Gate // the connections of Listener
	adminGate   *accept.Gate // those of AdminListener
	poller      *zws.Poller  // nil on systems without one
	repeats     repeat.Limiter
	refusals    *refusal.Recorder
	state       atomic.Pointer[state]
	reloading   sync.Mutex
}

// New makes a bridge of a configuration, from [config.Load] or made in Go: it validates a copy
// of c, opens the endpoints for inbound backends and reads the files that the authenticators
// need. The error of a configuration that cannot be used is a [*config.Error]. The caller
// closes the bridge.
func New(c *config.Config, o Options) (_ *Bridge, err error) {
	if c, err = validate(c, o); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.CertificateExpiry == nil {
		o.CertificateExpiry = func() time.Time { return time.Time{} }
	}
	if o.Predecessor == nil {
		o.Predecessor = func() int { return 0 }
	}
	b := &Bridge{options: o}
	b.repeats.SetInterval(c.Log.Repeat)
	b.refusals = refusal.New(slog.New(printable.Handler(o.Logger.Handler())), &b.repeats)
	b.options.Logger = slog.New(printable.Handler(b.repeats.Handler(o.Logger.Handler())))
	b.state.Store(&state{config: c}) // for a scrape of the metrics before New returns
	b.failures = auth.NewFailures(zap.HandlerFunc(b.authenticate), errTooManyFailures)
	b.metrics = metrics.New(source{b})
	b.failures.Observe = b.metrics.Judged
	b.gate, b.adminGate = b.newGate(serverListener), b.newGate(adminListener)
	if b.poller, err = zws.NewPoller(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	b.connections = conn.NewSet(conn.Options{Log: b.options.Logger, Metrics: b.metrics, Refusals: b.refusals, Poller: b.poller, Route: b.route, Logins: logins{b}, Cost: b.cost})
	s, err := b.newState(c, &state{})
	if err != nil {
		return nil, errors.Join(err, b.poller.Close())
	}
	b.adopt(s, new(state))
	if o.Registerer != nil {
		if err := b.metrics.Register(o.Registerer); err != nil {
			return nil, errors.Join(err, b.Close(context.Background()))
		}
	}
	return b, nil
}

// validate fills in the defaults of a copy of c and checks it. Its warnings are those of
// [config.Load].
func validate(c *config.Config, o Options) (*config.Config, error) {
	c, faults := config.Validate(c, config.ValidateOptions{OwnHandler: o.Handler != nil})
	return c, faults.Err()
}

var errTooManyFailures = &zws.CloseError{Code: zws.CodeTooMany, Reason: "too many refused logins: try again in a minute"}

// ServeHTTP serves a WebSocket client on the route at the request's path, or a static file.
// It returns when the client is logged in, or was told why it is not.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st := b.state.Load()
	rt := st.routes[r.URL.Path]
	upgrade := websocket.IsWebSocketUpgrade(r)
	if !upgrade && accept.Busy(w, r) {
		return
	}
	if rt == nil && !upgrade {
		serveFile(w, r, st.static, false)
		return
	}
	server := &st.config.Server
	from, err := clientaddr.Locate(r, server.TrustedProxies)
	if err != nil {
		b.refuseHTTP(w, r, clientaddr.Client{Address: clientaddr.Parse(r.RemoteAddr)}, http.StatusBadRequest, zws.CodeProtocol, err)
		return
	}
	from.Named = from.Secure || r.TLS != nil || clientaddr.KnownHost(r.Host, server.AllowedHosts)
	if rt != nil && !from.Named && rt.TakesNULL() {
		b.misdirected(w, r, rt, from)
		return
	}
	if !upgrade {
		serveFile(w, r, st.static, true)
		return
	}
	if err := b.admit(r.Context(), rt, from); err != nil {
		b.refuse(w, r, rt, from, err)
		return
	}
	o := rt.Rules().Options
	o.Address = from.String()
	o.Secure = from.Secure
	// A loopback address that a PROXY header gave is the proxy's, not that of a program here.
	o.PlaintextAllowed = from.Local && !server.ProxyProtocol || server.InsecurePlaintext
	b.connections.Serve(w, r, rt, from, o)
}

// admit decides what can be decided before the login. Without an error it has counted the
// connection.
func (b *Bridge) admit(ctx context.Context, rt *route.Route, from clientaddr.Client) error {
	if err := b.connections.Closing(); err != nil {
		return err
	}
	if reason := accept.Admit(ctx); reason != "" {
		return &zws.CloseError{Code: zws.CodeTooMany, Reason: reason.Text()}
	}
	if rt == nil {
		return b.connections.NoRoute()
	}
	return b.connections.Enter(from.Address, accept.Counted(ctx))
}

// misdirected answers a request whose Host can be a stranger's name for this machine, on a
// route that takes clients without credentials. It is answered by HTTP, since the page would
// see a close reason.
func (b *Bridge) misdirected(w http.ResponseWriter, r *http.Request, rt *route.Route, from clientaddr.Client) {
	err := fmt.Errorf("the Host %.100q is not answered without TLS on a route that takes NULL: "+
		"use an IP address or localhost, or add the name to server.allowed_hosts", r.Host)
	b.metrics.Refused(rt.Path(), &zws.CloseError{Code: zws.CodeForbidden})
	b.refuseHTTP(w, r, from, http.StatusMisdirectedRequest, zws.CodeForbidden, err)
}

// refuseHTTP answers a request by HTTP, and records that with a close code.
func (b *Bridge) refuseHTTP(w http.ResponseWriter, r *http.Request, from clientaddr.Client, status int, code zws.Code, err error) {
	b.refusals.Add(refusal.Refusal{Kind: refusal.Client, Address: from.String(), Route: r.URL.Path, NoRoute: b.route(r.URL.Path) == nil,
		Code: int(code), Reason: err.Error()})
	http.Error(w, err.Error(), status)
}

// refuse upgrades the request only to tell the client why it is refused.
func (b *Bridge) refuse(w http.ResponseWriter, r *http.Request, rt *route.Route, from clientaddr.Client, err error) {
	path := metrics.NoRoute
	if rt != nil {
		path = rt.Path()
	}
	b.metrics.Refused(path, zws.Cause(err))
	f := refusal.Because(refusal.Client, err)
	f.Address, f.Route, f.NoRoute = from.String(), r.URL.Path, rt == nil
	f.Dialect = zws.Offered(r)
	b.refusals.Add(f)
	server := &b.state.Load().config.Server
	_ = zws.Refuse(w, r, zws.Options{Origins: server.Origins, Secure: from.Secure, WriteTimeout: server.WriteTimeout}, err)
}

// route returns the route that is in force at path; nil if there is none.
func (b *Bridge) route(path string) *route.Route { return b.state.Load().routes[path] }

// cost is conn.Options.Cost.
func (b *Bridge) cost(l *zws.Login, again bool) time.Duration {
	return b.state.Load().auth.Cost(l.Reply.Authenticator, again)
}

// authenticate asks the chain in force.
func (b *Bridge) authenticate(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
	chain := b.state.Load().auth
	if chain == nil {
		return nil, conn.ErrShutdown
	}
	return chain.Authenticate(ctx, req)
}

// logins judges the logins of live connections by the chain in force. After Close, every
// login holds: the connections end anyway.
type logins struct{ *Bridge }

func (l logins) Revoked(r *zap.Reply) bool {
	chain := l.state.Load().auth
	return chain != nil && chain.Revoked(r)
}

func (l logins) Unasked(r *zap.Reply) bool {
	chain := l.state.Load().auth
	return chain != nil && chain.Unasked(r)
}

// Close ends all sessions with 1001 and waits for them until ctx is done; then it closes the
// backends. If sessions were left it returns ctx's error and leaves the backends open.
// Requests that come later are refused. It may be called more than once.
func (b *Bridge) Close(ctx context.Context) error {
	defer b.repeats.Close()
	if err := b.connections.Close(ctx); err != nil {
		return err
	}
	b.reloading.Lock()
	defer b.reloading.Unlock()
	old := b.state.Load()
	b.state.Store(&state{config: old.config, static: old.static}) // files are served to requests that are on their way
	if old.auth == nil {
		return nil // closed before
	}
	old.stop()
	old.close(&state{})
	b.metrics.Close()
	return b.poller.Close()
}
