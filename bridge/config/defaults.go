package config

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/tokenendpoint"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// What holds where the file says nothing. What depends on another key is at the end, in
// fillIn.

func defaultConfig() Config {
	return Config{
		Server: Server{
			Listen:           "127.0.0.1:8443",
			TLS:              TLSSelfSigned,
			HandshakeTimeout: 10 * time.Second,
			PingInterval:     25 * time.Second,
			WriteTimeout:     10 * time.Second,
			Drain:            10 * time.Second,
			MaxHandshake:     16 << 10,
			MaxMessage:       1 << 20,
			MaxFrames:        1000,
			MaxSubscriptions: 1000,
			MaxChannels:      100,
			MaxTopic:         1 << 10,
			MaxConnections:   10000,
			MaxFailures:      10,
		},
		Zap: Zap{
			Domain:  "global",
			Timeout: 5 * time.Second,
		},
	}
}

// defaultAdmin is what an [admin] table without keys means.
var defaultAdmin = Admin{Listen: "127.0.0.1:9090"}

func defaultRoute() Route {
	return Route{
		Credentials:    CredentialsStatic,
		Ready:          ReadyAny,
		ConnectTimeout: 5 * time.Second,
		HighWaterMark:  1000,
		HighWaterBytes: 4 << 20,
		Separator:      "/",
		OnWide:         OnWideRefuse,
	}
}

// authTypes makes the settings of each authenticator, with their defaults.
var authTypes = map[string]func() any{
	"htpasswd":    func() any { return &Htpasswd{} },
	"ip":          func() any { return &IP{} },
	"anonymous":   func() any { return &Anonymous{} },
	"curve":       func() any { return &Curve{} },
	"certificate": func() any { return &Certificate{} },
	"zap":         func() any { return &Remote{} },
	"jwt": func() any {
		return &JWT{ExtraScopesMode: "add", RequireExp: true, Timeout: 5 * time.Second}
	},
	"http": func() any {
		return &HTTP{Method: "POST", Timeout: 5 * time.Second, Cache: 15 * time.Second}
	},
	"token-endpoint": func() any {
		return &TokenEndpoint{TokenRegex: tokenendpoint.DefaultForm, Timeout: 5 * time.Second}
	},
}

// setDefaults gives an entry of an array its defaults before it is read.
func setDefaults(v reflect.Value) {
	if r, ok := v.Addr().Interface().(*Route); ok {
		*r = defaultRoute()
	}
}

// fillIn sets what follows from other keys.
func (d *decoder) fillIn(c *Config) {
	if !d.given["server.curve_cert"] {
		c.Server.CurveCert = d.path("certs/server")
	}
	if c.Admin.OIDC != "" && c.Admin.OIDCScopes == nil {
		c.Admin.OIDCScopes = []string{"openid"}
	}
	for i, e := range c.Zap.Listen {
		c.Zap.Listen[i] = absoluteEndpoint(d.dir, e)
	}
	for i := range c.Routes {
		r := &c.Routes[i]
		r.Domain = cmp.Or(r.Domain, c.Zap.Domain)
		r.Mechanism = cmp.Or(r.Mechanism, defaultMechanism(r))
		r.OnFull = cmp.Or(r.OnFull, defaultOnFull(r))
		if r.ClientMechanisms == nil {
			r.ClientMechanisms = defaultClientMechanisms(c, r)
		}
		for n := range r.Connect {
			e := &r.Connect[n]
			e.Endpoint = absoluteEndpoint(d.dir, e.Endpoint)
			if e.ServerKey.IsZero() {
				e.ServerKey = r.ServerKey
			}
		}
		for n, e := range r.Bind {
			r.Bind[n] = absoluteEndpoint(d.dir, e)
		}
	}
	for _, a := range c.Auth {
		switch s := a.Settings.(type) {
		case *Remote:
			s.Endpoint = absoluteEndpoint(d.dir, s.Endpoint)
			s.Timeout = cmp.Or(s.Timeout, c.Zap.Timeout)
		case *JWT:
			if s.ScopePrefix == nil {
				prefix := s.ResourceServerID + "."
				s.ScopePrefix = &prefix
			}
		}
	}
}

// defaultMechanism: a client's own login can only go on as PLAIN.
func defaultMechanism(r *Route) zap.Mechanism {
	if r.Credentials == CredentialsClient {
		return zap.PLAIN
	}
	return zap.NULL
}

// defaultOnFull: what is published is soon old, all else is waited for, except where a
// slow client would make others wait. A lost reply would leave a client waiting for ever,
// so there the slow client has to go.
func defaultOnFull(r *Route) string {
	switch {
	case r.Relay: // one frame that is missing ends what the two sides have agreed on
		return OnFullBlock
	case slices.Contains([]zmtp.SocketType{zmtp.SUB, zmtp.XSUB}, r.Socket):
		return OnFullDropOldest
	case r.Stalls():
		return OnFullDisconnect
	}
	return OnFullBlock
}

// defaultClientMechanisms: NULL has to be named. A client certificate is a login as soon
// as there is somebody who vouches for it.
func defaultClientMechanisms(c *Config, r *Route) []zap.Mechanism {
	if r.Credentials == CredentialsClient {
		return []zap.Mechanism{zap.PLAIN}
	}
	mechanisms := []zap.Mechanism{zap.PLAIN, zap.BEARER}
	if !r.Relay { // whose clients log in by the HTTP request
		mechanisms = append(mechanisms, zap.CURVE)
	}
	if c.Server.ClientCA != "" {
		mechanisms = append(mechanisms, zap.TLS)
	}
	return mechanisms
}
