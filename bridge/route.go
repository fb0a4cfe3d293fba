package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// route is one [[route]], ready to serve. It lives as long as its backends: a reload that
// leaves them as they are only replaces its rules.
type route struct {
	config   *config.Route // as the upstream was made with
	rules    atomic.Pointer[rules]
	ids      routingIDs
	upstream upstream
	metrics  *metrics.Route
}

// rules are what the clients of a route may be and do.
type rules struct {
	relay    bool
	limits   routeLimits
	socket   zmtp.SocketType
	name     string         // what Rights call the route: its path without the first slash
	options  zws.Options    // for every session; the session adds what is its own
	policy   *rights.Policy // nil without `allow`: everything is allowed
	patterns rights.Options
	queue    queue.Options
}

// routeLimits bound what a client may ask for.
type routeLimits struct {
	topic         int // octets
	subscriptions int
}

// upstream is how the channels of a route get the socket behind them.
type upstream interface {
	// attach gives c its socket: when it returns, the route's `ready` rule is met. c's
	// queue exists by then.
	attach(ctx context.Context, s *session, l *zws.Login, c *channel) (backend.Socket, error)
	// statuses tell about the backends that do not belong to a single session.
	statuses() []backend.Status
	// close ends what the channels share. The channels are closed by then.
	close()
}

// newRoute makes what a route needs before its first client comes: its rules, its keys,
// and the sockets that its clients share. The caller closes its upstream.
func (b *Bridge) newRoute(c *config.Config, rc *config.Route) (*route, error) {
	r := &route{config: rc, metrics: b.metrics.Route(rc.Path)}
	rules, err := newRules(c, rc, zap.HandlerFunc(b.judge))
	if err != nil {
		return nil, err
	}
	r.rules.Store(rules)
	r.upstream, err = b.newUpstream(c, r)
	return r, err
}

// newRules reads what may change without touching the backends.
func newRules(c *config.Config, rc *config.Route, handler zap.Handler) (*rules, error) {
	r := &rules{
		relay:    rc.Relay,
		socket:   rc.Socket,
		name:     strings.TrimPrefix(rc.Path, "/"),
		limits:   routeLimits{topic: int(c.Server.MaxTopic), subscriptions: c.Server.MaxSubscriptions},
		patterns: rights.Options{Separator: *rc.Separator, Narrow: rc.OnWide == config.OnWideNarrow},
		queue:    queue.Options{Messages: rc.HighWaterMark, Bytes: int64(rc.HighWaterBytes), Notifications: c.Server.MaxSubscriptions},
	}
	var err error
	if r.queue.OnFull, err = queue.ParsePolicy(rc.OnFull); err != nil {
		return nil, err
	}
	if rc.Allow != nil {
		allow := make([]rights.Rule, len(rc.Allow))
		for i, a := range rc.Allow {
			allow[i] = rights.Rule(a)
		}
		if r.policy, err = rights.Compile(allow, r.patterns); err != nil {
			return nil, err
		}
	}
	r.options, err = sessionOptions(c, rc, handler)
	return r, err
}

// sessionOptions are what package zws has to know of a route.
func sessionOptions(c *config.Config, rc *config.Route, handler zap.Handler) (zws.Options, error) {
	face, ok := facings[rc.Socket]
	if !ok {
		return zws.Options{}, fmt.Errorf("socket type %q is none of the eleven", rc.Socket)
	}
	o := zws.Options{
		Handler:          handler,
		Domain:           rc.Domain,
		Relay:            rc.Relay,
		Mechanisms:       rc.ClientMechanisms,
		Announce:         face.announce,
		ClientTypes:      face.clients,
		Untyped:          face.untyped,
		Origins:          c.Server.Origins,
		QueryToken:       c.Server.QueryToken,
		MaxMessage:       int64(c.Server.MaxMessage),
		MaxFrames:        c.Server.MaxFrames,
		MaxChannels:      c.Server.MaxChannels,
		MaxHandshake:     int64(c.Server.MaxHandshake),
		HandshakeTimeout: c.Server.HandshakeTimeout,
		PingInterval:     c.Server.PingInterval,
		WriteTimeout:     c.Server.WriteTimeout,
	}
	if o.PingInterval == 0 {
		o.PingInterval = -1 // none: zero is a default there
	}
	if !slices.Contains(o.Mechanisms, zap.CURVE) {
		return o, nil
	}
	identity, err := curveIdentity(c)
	if err != nil {
		return o, err
	}
	if identity == nil { // CURVE is offered only where we have a key
		o.Mechanisms = slices.DeleteFunc(slices.Clone(o.Mechanisms), func(m zap.Mechanism) bool { return m == zap.CURVE })
		return o, nil
	}
	o.CurvePublic, o.CurveSecret = identity.Public, identity.Secret
	return o, nil
}

// open makes the channel of a session and connects it.
func (r *route) open(ctx context.Context, s *session, l *zws.Login) (*channel, error) {
	rules := r.rules.Load()
	p, err := rules.privileges(ctx, l)
	if err != nil {
		return nil, err
	}
	for _, endpoint := range slices.Concat(l.Connect, l.Bind) {
		if !r.has(endpoint) {
			return nil, &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: "connect and bind in the URL name no endpoint of this route"}
		}
	}
	c := &channel{route: r}
	if c.stamp, err = frameStamp(r.config, l); err != nil {
		return nil, err
	}
	c.privileges.Store(p)
	if codec, shared := l.Codec(); shared {
		c.codec = codec
	}
	o := rules.queue
	o.Codec = c.codec
	c.queue = queue.New(o, queueOwner{s})
	if c.socket, err = r.upstream.attach(ctx, s, l, c); err != nil {
		c.close()
		return nil, closeCause(err)
	}
	return c, nil
}

// has tells whether endpoint is literally one of the route's.
func (r *route) has(endpoint string) bool {
	return slices.Contains(r.config.Bind, endpoint) ||
		slices.ContainsFunc(r.config.Connect, func(e config.Endpoint) bool { return e.Endpoint == endpoint })
}

// curveIdentity is our own CURVE key pair; nil if there is none.
func curveIdentity(c *config.Config) (*certs.Certificate, error) {
	if c.Server.CurveCert == "" {
		return nil, nil
	}
	return readOptional(string(c.Server.CurveCert))
}

// routingIDs are the client routing ids in use on a route.
type routingIDs struct {
	mu    sync.Mutex
	inUse map[string]bool
}

func (r *routingIDs) take(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inUse[id] {
		return false
	}
	if r.inUse == nil {
		r.inUse = make(map[string]bool)
	}
	r.inUse[id] = true
	return true
}

func (r *routingIDs) give(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inUse, id)
}
