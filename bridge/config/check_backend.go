package config

import (
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// connect checks the endpoints that the bridge connects to.
func (c *checker) connect(key string, r *Route) {
	bad := c.hasFault(key+".connect") || c.hasFault(key+".bind") || c.hasFault(key+".connect_file")
	if !r.connects() && len(r.Bind) == 0 && !bad {
		c.fault(key, "has neither connect nor bind: want at least one endpoint")
	}
	templates := false
	for i, e := range r.Connect {
		of := entry(key+".connect", i)
		switch {
		case e.Endpoint == "":
			c.fault(of, "has no endpoint: want %s", endpointForms)
		case e.IsSource(): // see sources
		case HasPlaceholder(e.Endpoint):
			templates = true
			c.placeholders(of, e.Endpoint, "user", "claim", "meta")
		default:
			c.endpoint(of, e.Endpoint, false)
		}
		if n := slices.Index(r.Connect, e); n < i && e.Endpoint != "" {
			c.warn(of, "%q is also %s: two connections to one backend, so that each message of a PUB comes twice", e.Endpoint, entry(key+".connect", n))
		}
		if !e.ServerKey.IsZero() && r.Mechanism != zap.CURVE && !r.Relay {
			c.fault(of, `has a server_key, and mechanism is %q: want "CURVE"`, r.Mechanism)
		}
	}
	if templates && len(r.EndpointsAllowed) == 0 {
		c.fault(key+".connect", `depends on the client: want endpoints_allowed, like ["tcp://*.houses.lan:5556"]`)
	}
	if !templates && len(r.EndpointsAllowed) > 0 && (r.Relay || len(r.Bind) > 0) {
		c.warn(key+".endpoints_allowed", "has no effect: it is for endpoints with a placeholder like {meta.house}, and for those that operators connect, which a relay and a route with bind do not have")
	}
	for i, e := range r.EndpointsAllowed {
		if err := parseEndpoint(strings.ReplaceAll(e, "*", "1"), false); err != nil {
			c.fault(entry(key+".endpoints_allowed", i), `is %q: want an endpoint in which * matches letters, digits and "-", like "tcp://*.houses.lan:5556"`, e)
		}
	}
	c.oneOf(key+".ready", r.Ready, []string{ReadyAny, ReadyAll, ReadyNone})
	c.positive(key+".connect_timeout", r.ConnectTimeout)
	c.reconnect(key+".reconnect", r)
}

// minReconnect is the shortest wait between two attempts, which would otherwise keep a processor
// and a network busy while a backend is away.
const minReconnect = 10 * time.Millisecond

// reconnect checks how long the bridge waits before it tries a backend again.
func (c *checker) reconnect(key string, r *Route) {
	i := r.Reconnect
	switch {
	case i.Min < minReconnect || i.Max < i.Min:
		c.fault(key, `is "%v..%v": want at least %v, and the longest wait last, like "100ms..10s"`, i.Min, i.Max, minReconnect)
	case !r.connects() && c.isGiven(key, i != defaultRoute().Reconnect):
		c.warn(key, "has no effect: backends connect to the bridge")
	}
}

// bind checks the endpoints that backends connect to. seen are the endpoints of the routes
// before, with their keys.
func (c *checker) bind(key string, r *Route, seen map[string]string) {
	if r.Relay {
		return // see relay
	}
	if len(r.Bind) == 0 {
		if r.BindDomain != "" {
			c.fault(key+".bind_domain", "is %q on a route without bind: want bind, or no bind_domain", r.BindDomain)
		}
		c.peers(key, r)
		return
	}
	for i, e := range r.Bind {
		of := entry(key+".bind", i)
		if !c.endpoint(of, e, true) {
			continue
		}
		if other, twice := seen[e]; twice && !strings.HasSuffix(e, ":0") {
			c.fault(of, "%q is also %s: want another endpoint", e, other)
		}
		seen[e] = of
		c.bindSecurity(key, of, e, r)
	}
	if r.Credentials == CredentialsClient {
		c.fault(key+".credentials", `is "client" with bind: backends that connect take no credentials of clients; want "static"`)
	}
	if r.Socket == zmtp.PAIR || r.Socket == zmtp.REP {
		c.fault(key+".socket", "is %q with bind: clients cannot share its peers; want another socket, or connect", r.Socket)
	}
	c.bindDomain(key, r)
	c.peers(key, r)
}

// bindSecurity checks how backends log in at the endpoint e, whose key is of.
func (c *checker) bindSecurity(key, of, e string, r *Route) {
	switch {
	case r.Mechanism == zap.NULL && !r.InsecureNull:
		c.fault(of, `accepts every backend with mechanism "NULL": want "CURVE" or "PLAIN", or insecure_null = true`)
	case r.Mechanism == zap.NULL:
		c.warn(key+".insecure_null", "every process that can reach %s takes part without a login", e)
	case r.Mechanism == zap.PLAIN && !LocalEndpoint(e) && !r.InsecurePlaintext:
		c.fault(of, `takes passwords in the clear from other machines: want mechanism = "CURVE", or insecure_plaintext = true`)
	case r.Mechanism == zap.CURVE && !certExists(c.Server.CurveCert):
		c.fault(of, `needs server.curve_cert for mechanism "CURVE": %s does not exist, zwsbridge keygen creates it`, c.Server.CurveCert+certs.SecretSuffix)
	}
}

// bindDomain keeps the logins of backends apart from those of clients.
func (c *checker) bindDomain(key string, r *Route) {
	if r.BindDomain == "" {
		c.fault(key, "has bind and no bind_domain: want a ZAP domain for the backends that connect, one that clients do not log in to")
		return
	}
	c.domain(key+".bind_domain", r.BindDomain)
	if slices.Contains(c.ClientDomains(), r.BindDomain) {
		c.fault(key+".bind_domain", "%q is a domain that clients log in to: want another, or every client could connect as a backend", r.BindDomain)
		return
	}
	if len(c.BindChain(r.BindDomain)) == 0 && !c.ownHandler {
		c.warn(key+".bind_domain", "no entry of zap.chain has %q in its domains: no backend can log in", r.BindDomain)
	}
}

// mechanism checks how the bridge logs in at the backends.
func (c *checker) mechanism(key string, r *Route) {
	if r.Relay {
		return // see relay
	}
	if !slices.Contains([]zap.Mechanism{zap.NULL, zap.PLAIN, zap.CURVE}, r.Mechanism) {
		c.fault(key+".mechanism", `is %q: want "NULL", "PLAIN" or "CURVE"`, r.Mechanism)
		return
	}
	if !c.oneOf(key+".credentials", r.Credentials, []string{CredentialsStatic, CredentialsClient}) {
		return
	}
	client := r.Credentials == CredentialsClient
	switch {
	case client && r.Mechanism == zap.CURVE:
		c.fault(key+".credentials", `is "client", and a CURVE login cannot be passed on: want "static", or mechanism = "PLAIN"`)
	case client && r.Mechanism == zap.NULL:
		c.fault(key+".credentials", `is "client", and mechanism "NULL" passes nothing on: want mechanism = "PLAIN"`)
	case r.Mechanism == zap.CURVE && r.connects():
		c.curve(key, r)
	case r.Mechanism == zap.PLAIN && !client && r.connects():
		c.required(key+".username", r.Username, `mechanism = "PLAIN"`)
		c.required(key+".password_file", string(r.PasswordFile), `mechanism = "PLAIN"`)
	}
	c.unused(key, r)
	c.placeholders(key+".username", r.Username, "user")
	c.placeholders(key+".password_file", string(r.PasswordFile), "user")
	c.placeholders(key+".cert", string(r.Cert), "user")
	if len(r.Username) > zmtp.MaxPlain {
		c.fault(key+".username", "has %d bytes: want at most %d, the limit of PLAIN", len(r.Username), zmtp.MaxPlain)
	}
	if r.PasswordFile != "" && !HasPlaceholder(string(r.PasswordFile)) {
		c.secretFile(key+".password_file", r.PasswordFile)
	}
	c.plaintext(key, r)
}

// curve checks the keys of mechanism = "CURVE".
func (c *checker) curve(key string, r *Route) {
	for i, e := range r.Connect {
		if e.IsSource() {
			c.keyOfSource(entry(key+".connect", i), r, &e)
		} else if of := entry(key+".connect", i); e.ServerKey.IsZero() && !c.hasFault(key+".server_key") && !c.hasFault(of) {
			c.fault(entry(key+".connect", i), `has no server_key, and neither has the route: mechanism = "CURVE" needs the backend's public key`)
		}
	}
	if r.Cert == "" {
		c.fault(key+".cert", `missing: mechanism = "CURVE" needs the bridge's own key here; create it with zwsbridge keygen`)
	}
	if r.Cert != "" && !HasPlaceholder(string(r.Cert)) {
		c.secretCert(key+".cert", r.Cert)
	}
}

// unused reports credentials that the mechanism does not use: their author expects more
// protection than they give.
func (c *checker) unused(key string, r *Route) {
	plain := r.Mechanism == zap.PLAIN && r.Credentials == CredentialsStatic
	for _, k := range []struct {
		name  string
		given bool
		used  bool
		where string
	}{
		{"username", r.Username != "", plain, `mechanism = "PLAIN" with credentials = "static"`},
		{"password_file", r.PasswordFile != "", plain, `mechanism = "PLAIN" with credentials = "static"`},
		{"server_key", !r.ServerKey.IsZero(), r.Mechanism == zap.CURVE, `mechanism = "CURVE"`},
		{"cert", r.Cert != "", r.Mechanism == zap.CURVE, `mechanism = "CURVE"`},
		{"zmtp2", r.ZMTP2, r.Mechanism == zap.NULL, `mechanism = "NULL", the only one that ZMTP 2.0 can have`},
		{"insecure_null", r.InsecureNull, r.Mechanism == zap.NULL, `mechanism = "NULL" with bind`},
	} {
		if k.given && !k.used {
			c.fault(key+"."+k.name, "is only for %s: mechanism is %q, credentials are %q; want that, or no %s", k.where, r.Mechanism, r.Credentials, k.name)
		}
	}
}

// plaintext reports passwords that leave the machine in the clear.
func (c *checker) plaintext(key string, r *Route) {
	if r.Mechanism != zap.PLAIN {
		return
	}
	for i, e := range r.Connect {
		switch {
		case LocalEndpoint(e.Endpoint), e.IsSource():
		case !r.InsecurePlaintext:
			c.fault(entry(key+".connect", i), "is neither loopback nor ipc, and PLAIN sends the password in the clear: want insecure_plaintext = true on this route, if the network between is trusted")
		default:
			c.warn(key+".insecure_plaintext", "passwords go to %s in the clear", e.Endpoint)
		}
	}
}
