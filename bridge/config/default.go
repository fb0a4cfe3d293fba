package config

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The defaults of every key are in this file, except those of authenticators: each auth_*.go
// registers them with its kind.

// Default returns what an empty configuration file means: a bridge on 127.0.0.1:8443 with a
// self-signed certificate and without routes, authenticators and operators' interface. A
// program adds to it and calls [Validate].
func Default() *Config {
	return &Config{
		Server: Server{
			Listen:           "127.0.0.1:8443",
			TLS:              TLSSelfSigned,
			CurveCert:        "certs/server",
			HandshakeTimeout: zws.DefaultHandshakeTimeout,
			PingInterval:     zws.DefaultPingInterval,
			WriteTimeout:     zws.DefaultWriteTimeout,
			Drain:            10 * time.Second,
			HandoverDrain:    2 * time.Minute,
			MaxHandshake:     zws.DefaultMaxHandshake,
			MaxMessage:       zws.DefaultMaxMessage,
			MaxFrames:        zws.DefaultMaxFrames,
			MaxSubscriptions: 1000,
			MaxChannels:      zws.DefaultMaxChannels,
			MaxTopic:         1 << 10,
			MaxConnections:   10000,
			MaxFailures:      10,

			MaxSubscriptionBytesPerUser: 1 << 20,
			MaxConnectionBytes:          16 << 20,
		},
		Log: Log{Level: LevelInfo, Format: FormatAuto, Repeat: time.Second},
		History: History{Store: StoreMemory, Dir: "history", Sync: time.Second, NATS: HistoryNATS{
			Servers: []string{"nats://127.0.0.1:4222"}, Name: "zwsbridge", Replicas: 1, Lease: 3 * time.Second,
		}},
		Zap: Zap{
			Domain:  "global",
			Timeout: zap.DefaultTimeout,
		},
	}
}

// defaultAdmin returns what an [admin] table without keys means.
func defaultAdmin() Admin { return Admin{Listen: "127.0.0.1:9090"} }

// defaultRoute returns what a [[route]] table without keys means, except for the defaults that
// depend on other keys, which completeRoute fills in.
func defaultRoute() Route {
	return Route{
		Credentials:    CredentialsStatic,
		Ready:          ReadyAny,
		ConnectTimeout: 5 * time.Second,
		Reconnect:      Interval{100 * time.Millisecond, 10 * time.Second},
		HighWaterMark:  1000,
		HighWaterBytes: 4 << 20,
		Envelope:       EnvelopeNone,
		Separator:      new("/"),
		OnWide:         OnWideRefuse,

		MaxSubscriptionBytes: 16 << 20,

		History: defaultHistory(),
	}
}

// defaultHistory returns what a [route.history] table without keys means. MaxAge depends on Queue.
func defaultHistory() RouteHistory {
	return RouteHistory{
		MaxBytes:         64 << 20,
		LastValue:        LastValueAsk,
		LastValueAge:     24 * time.Hour,
		MaxLastValues:    100000,
		QueueAge:         72 * time.Hour,
		MaxQueuesPerUser: 5,
	}
}

// defaultMaxAge is how long messages are kept: as long as queues, if users have queues without
// asking for one.
func defaultMaxAge(h *RouteHistory) time.Duration {
	if h.Queue == QueueUser {
		return h.QueueAge
	}
	return 10 * time.Minute
}

// complete fills in the defaults that depend on other keys, and makes the endpoints of ipc
// absolute.
func (c *Config) complete() {
	if c.Admin.OIDC != "" && c.Admin.OIDCScopes == nil {
		c.Admin.OIDCScopes = []string{"openid"}
	}
	for i, e := range c.Zap.Listen {
		c.Zap.Listen[i] = absoluteEndpoint(c.Dir, e)
	}
	for i := range c.Routes {
		c.completeRoute(&c.Routes[i])
	}
	for _, a := range c.Auth {
		if s, ok := a.Settings.(completer); ok {
			s.complete(c)
		}
	}
}

func (c *Config) completeRoute(r *Route) {
	r.Domain = cmp.Or(r.Domain, c.Zap.Domain)
	r.Mechanism = cmp.Or(r.Mechanism, defaultMechanism(r))
	r.OnFull = cmp.Or(r.OnFull, defaultOnFull(r))
	if r.History.MaxAge == nil {
		r.History.MaxAge = new(defaultMaxAge(&r.History))
	}
	if r.ClientMechanisms == nil {
		r.ClientMechanisms = defaultClientMechanisms(c, r)
	}
	for n := range r.Connect {
		e := &r.Connect[n]
		e.Endpoint = absoluteEndpoint(c.Dir, e.Endpoint)
		if e.ServerKey.IsZero() {
			e.ServerKey = r.ServerKey
		}
	}
	for n, e := range r.Bind {
		r.Bind[n] = absoluteEndpoint(c.Dir, e)
	}
}

// defaultMechanism is PLAIN where the client's own login goes on to the backend: no other
// mechanism can pass it on.
func defaultMechanism(r *Route) zap.Mechanism {
	if r.Credentials == CredentialsClient {
		return zap.PLAIN
	}
	return zap.NULL
}

// defaultOnFull drops what is published, since it is soon outdated, and waits everywhere else,
// except where a slow client would hold up others. There requests and replies disconnect the
// slow client: if replies were dropped, it would wait forever.
func defaultOnFull(r *Route) string {
	switch {
	case r.Relay: // a missing frame breaks the encryption between client and backend
		return OnFullBlock
	case r.Socket == zmtp.SUB, r.Socket == zmtp.XSUB, r.Stalls() && (r.Socket == zmtp.PUB || r.Socket == zmtp.XPUB):
		return OnFullDropOldest
	case r.Stalls():
		return OnFullDisconnect
	}
	return OnFullBlock
}

// defaultClientMechanisms are those that need a login; NULL has to be named. TLS is one of
// them as soon as there is an authority that verifies client certificates.
func defaultClientMechanisms(c *Config, r *Route) []zap.Mechanism {
	if r.Credentials == CredentialsClient {
		return []zap.Mechanism{zap.PLAIN}
	}
	mechanisms := []zap.Mechanism{zap.PLAIN, zap.BEARER}
	if !r.Relay { // clients of a relay log in by the HTTP request
		mechanisms = append(mechanisms, zap.CURVE)
	}
	if c.Server.ClientCA != "" {
		mechanisms = append(mechanisms, zap.TLS)
	}
	return mechanisms
}

// clone returns a copy of c of which everything can be changed that Validate fills in.
func (c *Config) clone() *Config {
	next := *c
	next.Zap.Listen = slices.Clone(c.Zap.Listen)
	next.Routes = slices.Clone(c.Routes)
	for i := range next.Routes {
		r := &next.Routes[i]
		r.Connect, r.Bind = slices.Clone(r.Connect), slices.Clone(r.Bind)
	}
	next.Auth = maps.Clone(c.Auth)
	for name, a := range next.Auth {
		if v := reflect.ValueOf(a.Settings); v.IsValid() && !v.IsNil() {
			settings := reflect.New(v.Type().Elem())
			settings.Elem().Set(v.Elem())
			a.Settings = settings.Interface().(AuthKind)
			next.Auth[name] = a
		}
	}
	return &next
}

// setZero gives the fields of dst that are zero the values that they have in defaults. Both
// are pointers to the same struct type.
func setZero(dst, defaults any) {
	to, from := reflect.ValueOf(dst).Elem(), reflect.ValueOf(defaults).Elem()
	for i := range to.NumField() {
		if f := to.Field(i); f.IsZero() {
			f.Set(from.Field(i))
		}
	}
}
