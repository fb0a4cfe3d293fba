package route

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/discover"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/bridge/internal/refusal"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Options are what the routes of a bridge share.
type Options struct {
	Handler zap.Handler // judges clients and inbound backends
	Metrics *metrics.Metrics
	Log     *slog.Logger
	// Refusals records the inbound backends that are refused.
	Refusals *refusal.Recorder
	History  config.History // where a new Archive is kept
	// Archive is that of an earlier route with the same path; nil makes one if the route keeps
	// anything.
	Archive *Archive
	// Inherit, if not nil, returns the listener of an earlier route that has an endpoint of bind
	// open; nil if none has. The caller of New closes the earlier route.
	Inherit func(endpoint string) *zmtp.Listener
	// Socket, if not nil, returns a socket that another process has handed over, as
	// [zmtp.ListenOptions] has it.
	Socket func(network, address string) net.Listener
	// Exclusive, if not nil, is called before files are opened that one process only can have open.
	Exclusive func() error
	// Connected are the endpoints that operators have connected on an earlier route with the
	// same path. Those that this configuration does not let them connect are dropped.
	Connected []Endpoint
}

// settings are the part of the configuration that the backends of a route depend on.
type settings struct {
	path   string
	socket zmtp.SocketType
	relay  bool
	log    *slog.Logger // says which route

	refusals *refusal.Recorder

	listens bool // backends connect to the route

	alwaysLast bool // each subscription gets last values
	shared     bool

	clientRoutingID bool
	stampFrame      bool
	stampRoutingID  bool

	socketOptions backend.Options

	fingerprint any // of all that the settings were made from
}

// New makes a route and opens the sockets that its clients share. The caller closes it.
func New(c *config.Config, rc *config.Route, o Options) (*Route, error) {
	s := newSettings(c, rc, o)
	r := &Route{settings: *s, metrics: o.Metrics.Route(rc.Path)}
	l, err := newLinks(c, rc, &o)
	if err != nil {
		return nil, err
	}
	r.sources = sources{
		lists:        map[string][]Endpoint{fileList: fileEndpoints(rc), adminList: o.Connected},
		disconnected: make(map[string]bool),
	}
	r.link(l, &r.sources)
	r.links.Store(l)
	r.violations.log = s.log
	rules, err := NewRules(c, rc, o.Handler)
	if err != nil {
		return nil, err
	}
	r.SetRules(rules)
	r.socketOptions.Event = r.backendChanged
	r.socketOptions.Dropped = r.metrics.Dropped
	if rc.History.Kept() {
		if r.archive = o.Archive; r.archive == nil {
			if r.archive, err = storeOf(&o).open(rc.Path, rules.archive, s.log); err != nil {
				return nil, err
			}
		}
	}
	if r.upstream, err = r.newUpstream(); err != nil {
		if r.archive != nil && o.Archive == nil {
			_ = r.archive.Close()
		}
		return nil, err
	}
	r.find(newFinders(c, rc))
	return r, nil
}

// Matches reports whether the route can become what rc describes without the end of its
// streams, by [Route.Prepare].
func (r *Route) Matches(c *config.Config, rc *config.Route) bool {
	return reflect.DeepEqual(r.fingerprint, fingerprint(c, rc))
}

// fingerprint is the part of a configuration that cannot change in a live route: what its
// sockets are, what messages mean on the wire (stamp, envelope), and whether slow clients are caught
// up from the history.
func fingerprint(c *config.Config, rc *config.Route) any {
	r := *rc
	r.Allow, r.AllowAll, r.BindAllow, r.OnWide, r.Separator = nil, false, nil, "", nil
	r.Domain, r.ClientMechanisms, r.LaterFrames = "", nil, ""
	r.HighWaterMark, r.HighWaterBytes = 0, 0
	withoutLinks(&r)
	if r.History.Kept() {
		r.History = config.RouteHistory{Topics: []string{""}, LastValue: r.History.LastValue} // a live archive is changed
	}
	r.MaxSubscriptionBytes, r.Flush = 0, 0
	if r.OnFull != config.OnFullReplay {
		r.OnFull = ""
	}
	return []any{r, rc.Shared(), len(rc.Bind) > 0}
}

// discarded is up to how many times max_message a message of a backend is read and discarded
// instead of ending the connection, which others share.
const discarded = 64

// backendHeartbeat is the interval of PING commands to backends.
const backendHeartbeat = 30 * time.Second

func newSettings(c *config.Config, rc *config.Route, o Options) *settings {
	s := &settings{
		path:            rc.Path,
		socket:          rc.Socket,
		relay:           rc.Relay,
		log:             o.Log.With(slog.String("route", rc.Path)),
		refusals:        o.Refusals,
		listens:         len(rc.Bind) > 0,
		shared:          rc.Shared(),
		clientRoutingID: rc.RoutingID == config.RoutingIDClient,
		stampFrame:      rc.Stamp == config.StampFrame,
		stampRoutingID:  rc.Stamp == config.StampRoutingID,
		socketOptions: backend.Options{
			SocketType: rc.Socket,
			Heartbeat:  backendHeartbeat,
		},
		fingerprint: fingerprint(c, rc),
	}
	s.alwaysLast = rc.History.LastValue == config.LastValueAlways
	return s
}

// newLimits limits the messages of backends.
func newLimits(s *config.Server) zmtp.Limits {
	most := int64(s.MaxMessage)
	return zmtp.Limits{Frame: most, Message: most, Frames: s.MaxFrames, Discard: discarded * min(most, math.MaxInt64/discarded)}
}

// newLinks returns how the backends of a route are reached, without endpoints.
func newLinks(c *config.Config, rc *config.Route, o *Options) (*links, error) {
	l := &links{
		since:     time.Now(),
		allowed:   newAllowedEndpoints(rc.EndpointsAllowed),
		serverKey: rc.ServerKey,
		credentials: credentials{
			passThrough:  rc.Credentials == config.CredentialsClient,
			mechanism:    rc.Mechanism,
			username:     rc.Username,
			passwordFile: string(rc.PasswordFile),
			cert:         string(rc.Cert),
			private:      c.Server.Private(),
			perUser:      rc.PerUser(),
		},
		insecurePlaintext: rc.InsecurePlaintext,
		ready:             readyRules[rc.Ready],
		connectTimeout:    rc.ConnectTimeout,
		zmtp2:             rc.ZMTP2,
		limits:            newLimits(&c.Server),
		highWaterMark:     rc.HighWaterMark,
		highWaterBytes:    int64(rc.HighWaterBytes),
		backoff:           rc.Reconnect.Min,
		maxBackoff:        rc.Reconnect.Max,
		maxTopic:          int(c.Server.MaxTopic),
		bind:              rc.Bind,
	}
	var err error
	if len(rc.Bind) > 0 {
		l.inbound, err = newInbound(c, rc, o)
	}
	return l, err
}

// fileEndpoints are the endpoints that the configuration names.
func fileEndpoints(rc *config.Route) []Endpoint {
	var list []Endpoint
	for _, e := range rc.Connect {
		if !e.IsSource() {
			list = append(list, Endpoint{e.Endpoint, e.ServerKey, backend.SourceFile})
		}
	}
	return list
}

// newFinders returns the sources that the configuration names.
func newFinders(c *config.Config, rc *config.Route) []finderSpec {
	var list []finderSpec
	for _, e := range rc.Connect {
		if name, ok := e.SRV(); ok {
			list = append(list, finderSpec{name: e.Endpoint, kind: backend.SourceSRV, key: e.ServerKey, settings: e,
				rekey:  func([32]byte) ([32]byte, bool) { return e.ServerKey, true },
				source: func(*slog.Logger) discover.Source { return discover.NewSRV(name) }})
		}
		if service, ok := e.DNSSD(); ok {
			list = append(list, newDNSSD(rc, e, service))
		}
	}
	if rc.ConnectFile != "" {
		o := rc.FileOptions(c.Dir)
		list = append(list, finderSpec{name: string(rc.ConnectFile), kind: backend.SourceConnectFile, key: rc.ServerKey,
			settings: []any{rc.ConnectFile, rc.ServerKey, c.Dir, o.TakesKey},
			rekey:    func(key [32]byte) ([32]byte, bool) { return key, !o.TakesKey || key != [32]byte{} },
			source:   func(log *slog.Logger) discover.Source { o.Log = log; return discover.NewFile(o) }})
	}
	return list
}

// newDNSSD returns the source of a service type.
func newDNSSD(rc *config.Route, e config.Endpoint, service string) finderSpec {
	announced := func(key [32]byte) bool {
		return rc.InsecureAnnouncedKeys || slices.Contains(rc.ServerKeys, config.CurveKey(key))
	}
	o := discover.DNSSDOptions{Service: service, NeedsKey: rc.Mechanism == zap.CURVE, RouteKey: e.ServerKey, Trusts: announced}
	return finderSpec{name: e.Endpoint, kind: backend.SourceDNSSD, key: e.ServerKey,
		rekey: func(key [32]byte) ([32]byte, bool) {
			return key, !o.NeedsKey || key != [32]byte{} && (key == e.ServerKey || announced(key))
		},
		settings: []any{e, rc.Mechanism, rc.ServerKeys, rc.InsecureAnnouncedKeys},
		source:   func(*slog.Logger) discover.Source { return discover.NewDNSSD(o) }}
}

// newInbound returns how backends that connect to the route log in.
func newInbound(c *config.Config, rc *config.Route, o *Options) (backend.ListenOptions, error) {
	inbound := backend.ListenOptions{
		Addresses:        rc.Bind,
		Mechanism:        rc.Mechanism,
		Security:         zmtp.ServerSecurity{Handler: o.Handler, Domain: rc.BindDomain},
		HandshakeTimeout: rc.ConnectTimeout,
		Inherit:          o.Inherit,
		Socket:           o.Socket,

		Envelope:             rc.Envelope == config.EnvelopeFrame,
		TurnTimeout:          rc.ConnectTimeout,
		MaxSubscriptionBytes: int64(rc.MaxSubscriptionBytes),
	}
	if rc.Mechanism == zap.CURVE {
		identity, err := c.Server.Private().Certificate(string(c.Server.CurveCert))
		if err != nil {
			return inbound, err
		}
		inbound.Security.CurvePublic, inbound.Security.CurveSecret = identity.Public, identity.Secret
	}
	return inbound, nil
}

var readyRules = map[string]backend.Ready{config.ReadyAny: backend.Any, config.ReadyAll: backend.All, config.ReadyNone: backend.None}

// maxJobs is how many jobs of a shared PULL wait for one client at most.
const maxJobs = 16

// NewRules reads the part of the configuration that can change without touching the
// backends. handler judges the clients.
func NewRules(c *config.Config, rc *config.Route, handler zap.Handler) (*Rules, error) {
	r := &Rules{
		archive:          newArchiveOptions(&rc.History),
		anyPeerID:        rc.PeerIDs == config.PeerIDsAny,
		UserQueue:        rc.History.Queue == config.QueueUser,
		Queue:            queue.Options{Messages: rc.HighWaterMark, Bytes: int64(rc.HighWaterBytes), Notifications: c.Server.MaxSubscriptions},
		MaxTopic:         int(c.Server.MaxTopic),
		MaxSubscriptions: c.Server.MaxSubscriptions,
		LaterFrames:      rc.LaterFrames == config.LaterFramesAny,
		flush:            rc.Flush,

		MaxSubscriptionBytes: int64(rc.MaxSubscriptionBytes),

		relay:    rc.Relay,
		socket:   rc.Socket,
		name:     strings.TrimPrefix(rc.Path, "/"),
		patterns: rights.Options{Separator: *rc.Separator, Narrow: rc.OnWide == config.OnWideNarrow},
	}
	var err error
	if rc.Socket == zmtp.PULL && len(rc.Bind) > 0 {
		// What was handed to a client is lost with it, and others could have had it.
		r.Queue.Messages = min(r.Queue.Messages, maxJobs)
	}
	if rc.Socket == zmtp.XPUB && len(rc.Bind) > 0 {
		// A client's subscriptions must not make the peers wait that send messages to it.
		r.Queue.KeptBytes = int64(rc.MaxSubscriptionBytes)
	}
	if r.Queue.OnFull, err = queue.ParsePolicy(rc.OnFull); err != nil {
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
	if r.peers, err = peerPolicy(rc.BindAllow, r.patterns.Separator); err != nil {
		return nil, err
	}
	r.Options, err = clientOptions(c, rc, handler)
	return r, err
}

// peerPolicy compiles bind_allow, in which sending means publishing. It returns nil for nil.
func peerPolicy(list []config.PeerRule, separator string) (*rights.Policy, error) {
	if list == nil {
		return nil, nil
	}
	rules := make([]rights.Rule, len(list))
	for i, p := range list {
		rules[i] = rights.Rule{User: p.User, Subscribe: p.Subscribe, Send: p.Publish}
	}
	policy, err := rights.Compile(rules, rights.Options{Separator: separator})
	if err != nil {
		return nil, fmt.Errorf("bind_%w", err) // it says allow[…].send
	}
	return policy, nil
}

// clientOptions are what package zws needs to know of a route.
func clientOptions(c *config.Config, rc *config.Route, handler zap.Handler) (zws.Options, error) {
	role, ok := clientRoles[rc.Socket]
	if !ok {
		return zws.Options{}, fmt.Errorf("unknown socket type %q (one of DEALER, PAIR, PUB, PULL, PUSH, REP, REQ, ROUTER, SUB, XPUB, XSUB)", rc.Socket)
	}
	o := zws.Options{
		Handler:          handler,
		Domain:           rc.Domain,
		Relay:            rc.Relay,
		Mechanisms:       rc.ClientMechanisms,
		Announce:         role.announce,
		ClientTypes:      role.clients,
		Untyped:          role.untyped,
		Origins:          c.Server.Origins,
		QueryToken:       c.Server.QueryToken,
		MaxMessage:       int64(c.Server.MaxMessage),
		MaxFrames:        c.Server.MaxFrames,
		MaxChannels:      c.Server.MaxChannels,
		MaxHandshake:     int64(c.Server.MaxHandshake),
		HandshakeTimeout: c.Server.HandshakeTimeout,
		PingInterval:     cmp.Or(c.Server.PingInterval, -1), // none: zero is a default there
		WriteTimeout:     c.Server.WriteTimeout,
	}
	if !slices.Contains(o.Mechanisms, zap.CURVE) {
		return o, nil
	}
	identity, err := curveIdentity(c)
	if err != nil {
		return o, err
	}
	if identity == nil { // CURVE is offered only if the bridge has a key pair
		o.Mechanisms = slices.DeleteFunc(slices.Clone(o.Mechanisms), func(m zap.Mechanism) bool { return m == zap.CURVE })
		return o, nil
	}
	o.CurvePublic, o.CurveSecret = identity.Public, identity.Secret
	return o, nil
}

// curveIdentity is the bridge's key pair; nil if it has none.
func curveIdentity(c *config.Config) (*certs.Certificate, error) {
	if c.Server.CurveCert == "" {
		return nil, nil
	}
	cert, err := c.Server.Private().Certificate(string(c.Server.CurveCert))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return cert, err
}
