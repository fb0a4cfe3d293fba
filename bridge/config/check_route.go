package config

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var socketTypes = []zmtp.SocketType{
	zmtp.SUB, zmtp.XSUB, zmtp.DEALER, zmtp.REQ, zmtp.ROUTER, zmtp.REP,
	zmtp.PUSH, zmtp.PULL, zmtp.PUB, zmtp.XPUB, zmtp.PAIR,
}

func (c *checker) routes() {
	if len(c.Routes) == 0 {
		c.warn("", "has no [[route]]: there is nothing to connect to")
	}
	paths := make(map[string]string)
	binds := make(map[string]string)
	for i := range c.Routes {
		r, key := &c.Routes[i], entry("route", i)
		c.routePath(key, r.Path, paths)
		if r.Socket == "" {
			c.fault(key, "has no socket: want %s", choices(socketTypes))
		} else if !r.Socket.Valid() {
			c.fault(key+".socket", "is %q: want %s", r.Socket, choices(socketTypes))
		}
		c.clientDomain(key, r)
		c.connect(key, r)
		c.bind(key, r, binds)
		c.mechanism(key, r)
		c.clientMechanisms(key, r)
		c.queue(key, r)
		c.identity(key, r)
		c.allow(key, r)
		c.relay(key, r)
	}
}

// routePath wants paths that a request can have: absolute, clean, each on one route.
func (c *checker) routePath(key, p string, seen map[string]string) {
	switch {
	case p == "":
		c.fault(key, `has no path: want one like "/devices"`)
		return
	case p[0] != '/' || path.Clean(p) != p || strings.ContainsAny(p, "?#{}"):
		c.fault(key+".path", `is %q: want an absolute path without trailing slash, "..", query and braces, like "/devices"`, p)
	}
	if other, twice := seen[p]; twice {
		c.fault(key+".path", "%q is the path of %s as well: want another", p, other)
	}
	seen[p] = key
}

// clientDomain wants somebody who decides on the clients of the route. What is wrong with
// zap.domain, which is the default, is said there.
func (c *checker) clientDomain(key string, r *Route) {
	if r.Domain != c.Zap.Domain {
		c.domain(key+".domain", r.Domain)
	}
	answers := func(e ChainEntry) bool { return len(e.Domains) == 0 || slices.Contains(e.Domains, r.Domain) }
	if len(c.Zap.Chain) > 0 && !slices.ContainsFunc(c.Zap.Chain, answers) {
		c.warn(key+".domain", "no entry of zap.chain answers for %q: nobody can log in", r.Domain)
	}
}

func (c *checker) connect(key string, r *Route) {
	if len(r.Connect) == 0 && len(r.Bind) == 0 {
		c.fault(key, "has neither connect nor bind: want at least one endpoint")
	}
	templates := false
	for i, e := range r.Connect {
		of := entry(key+".connect", i)
		switch {
		case e.Endpoint == "":
			c.fault(of, "has no endpoint: want %s", endpointForms)
		case HasPlaceholder(e.Endpoint):
			templates = true
			c.placeholders(of, e.Endpoint, "user", "claim", "meta")
		default:
			c.endpoint(of, e.Endpoint, false)
		}
		if !e.ServerKey.IsZero() && r.Mechanism != zap.CURVE && !r.Relay {
			c.fault(of, `has a server_key, and mechanism is %q: want "CURVE"`, r.Mechanism)
		}
	}
	if templates && len(r.EndpointsAllowed) == 0 {
		c.fault(key+".connect", `depends on who the client is: want endpoints_allowed, like ["tcp://*.houses.lan:5556"]`)
	}
	if !templates && len(r.EndpointsAllowed) > 0 {
		c.fault(key+".endpoints_allowed", "is only for endpoints with a placeholder like {meta.house}")
	}
	for i, e := range r.EndpointsAllowed {
		if err := parseEndpoint(strings.ReplaceAll(e, "*", "x"), false); err != nil {
			c.fault(entry(key+".endpoints_allowed", i), `is %q: want an endpoint in which * stands for letters, digits and "-", like "tcp://*.houses.lan:5556"`, e)
		}
	}
	c.oneOf(key+".ready", r.Ready, []string{ReadyAny, ReadyAll, ReadyNone})
	c.positive(key+".connect_timeout", r.ConnectTimeout)
}

// bind checks the endpoints where native peers dial in.
func (c *checker) bind(key string, r *Route, seen map[string]string) {
	if r.Relay {
		return // see relay
	}
	if len(r.Bind) == 0 {
		if r.BindDomain != "" {
			c.fault(key+".bind_domain", "is only for routes with bind")
		}
		return
	}
	for i, e := range r.Bind {
		of := entry(key+".bind", i)
		if !c.endpoint(of, e, true) {
			continue
		}
		if other, twice := seen[e]; twice && !strings.HasSuffix(e, ":0") {
			c.fault(of, "%q is bound by %s as well", e, other)
		}
		seen[e] = of
		switch {
		case r.Mechanism == zap.NULL && !r.InsecureNull:
			c.fault(of, `lets anybody in with mechanism "NULL": want "CURVE" or "PLAIN", or insecure_null = true`)
		case r.Mechanism == zap.NULL:
			c.warn(key+".insecure_null", "whoever reaches %s takes part without a login", e)
		case r.Mechanism == zap.PLAIN && !LocalEndpoint(e) && !r.InsecurePlaintext:
			c.fault(of, `takes passwords in the clear from other machines: want mechanism = "CURVE", or insecure_plaintext = true`)
		case r.Mechanism == zap.CURVE && !certExists(c.Server.CurveCert):
			c.fault(of, "needs server.curve_cert for mechanism \"CURVE\": %s is not there, zwsbridge keygen makes it", c.Server.CurveCert+certs.SecretSuffix)
		}
	}
	if r.Credentials == CredentialsClient {
		c.fault(key+".credentials", `is "client" with bind: nothing can be passed on to peers that dial in; want "static"`)
	}
	if r.Socket == zmtp.PAIR || r.Socket == zmtp.REP {
		c.fault(key+".socket", "is %q with bind: its peers cannot be shared by sessions; want another socket, or connect", r.Socket)
	}
	c.bindDomain(key, r)
}

// bindDomain keeps those who dial in apart from those who log in at the front.
func (c *checker) bindDomain(key string, r *Route) {
	if r.BindDomain == "" {
		c.fault(key, "has bind and no bind_domain: want a ZAP domain for those who dial in, one that clients do not log in to")
		return
	}
	c.domain(key+".bind_domain", r.BindDomain)
	if slices.Contains(c.ClientDomains(), r.BindDomain) {
		c.fault(key+".bind_domain", "%q is a domain that clients log in to: want another, or a client's login would open this door", r.BindDomain)
		return
	}
	if len(c.BindChain(r.BindDomain)) == 0 {
		c.warn(key+".bind_domain", "no entry of zap.chain names %q in its domains: nobody can dial in", r.BindDomain)
	}
}

// mechanism checks the login towards the backends.
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
	case r.Mechanism == zap.CURVE && len(r.Connect) > 0:
		c.curve(key, r)
	case r.Mechanism == zap.PLAIN && !client && len(r.Connect) > 0:
		c.required(key+".username", r.Username, `mechanism = "PLAIN"`)
		c.required(key+".password_file", string(r.PasswordFile), `mechanism = "PLAIN"`)
	}
	c.unused(key, r)
	c.placeholders(key+".username", r.Username, "user")
	c.placeholders(key+".password_file", string(r.PasswordFile), "user")
	c.placeholders(key+".cert", string(r.Cert), "user")
	if len(r.Username) > zmtp.MaxPlain {
		c.fault(key+".username", "has %d octets: PLAIN takes at most %d", len(r.Username), zmtp.MaxPlain)
	}
	if r.PasswordFile != "" && !HasPlaceholder(string(r.PasswordFile)) {
		c.secretFile(key+".password_file", r.PasswordFile)
	}
	c.plaintext(key, r)
}

func (c *checker) curve(key string, r *Route) {
	for i, e := range r.Connect {
		if e.ServerKey.IsZero() {
			c.fault(entry(key+".connect", i), `has no server_key, and neither has the route: mechanism = "CURVE" needs the backend's public key`)
		}
	}
	c.required(key+".cert", string(r.Cert), `mechanism = "CURVE"`)
	if r.Cert != "" && !HasPlaceholder(string(r.Cert)) {
		c.secretCert(key+".cert", r.Cert)
	}
}

// unused reports credentials that the mechanism has no use for: who wrote them expects
// more protection than there is.
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
		{"insecure_null", r.InsecureNull, r.Mechanism == zap.NULL, `mechanism = "NULL" with bind`},
	} {
		if k.given && !k.used {
			c.fault(key+"."+k.name, "is only for %s: mechanism is %q, credentials are %q", k.where, r.Mechanism, r.Credentials)
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
		case LocalEndpoint(e.Endpoint):
		case !r.InsecurePlaintext:
			c.fault(entry(key+".connect", i), "is neither loopback nor ipc, and PLAIN sends the password in the clear: want insecure_plaintext = true on this route, if the network between is trusted")
		default:
			c.warn(key+".insecure_plaintext", "passwords go to %s in the clear", e.Endpoint)
		}
	}
}

// clientMechanisms checks how clients log in.
func (c *checker) clientMechanisms(key string, r *Route) {
	key += ".client_mechanisms"
	if len(r.ClientMechanisms) == 0 {
		c.fault(key, `is empty, so nobody could log in: want some of "NULL", "PLAIN", "BEARER", "CURVE" and "TLS"`)
	}
	for i, m := range r.ClientMechanisms {
		of := entry(key, i)
		if !slices.Contains([]zap.Mechanism{zap.NULL, zap.PLAIN, zap.BEARER, zap.CURVE, zap.TLS}, m) {
			c.fault(of, `is %q: want "NULL", "PLAIN", "BEARER", "CURVE" or "TLS"`, m)
			continue
		}
		passedOn := m == zap.PLAIN || m == zap.BEARER
		switch {
		case r.Credentials == CredentialsClient && !passedOn:
			c.fault(of, `is %q, and credentials = "client" passes on what only "PLAIN" and "BEARER" have`, m)
		case m == zap.CURVE && c.given[key] && !certExists(c.Server.CurveCert):
			c.fault(of, `is "CURVE", and server.curve_cert is not there: make it with zwsbridge keygen`)
		case m == zap.TLS && c.Server.ClientCA == "":
			c.fault(of, `is "TLS", and there is no server.client_ca to verify client certificates`)
		case m == zap.NULL:
			c.warn(of, "clients may come without a login, if the chain has somebody who lets them in")
		}
	}
}

// queue checks what is kept for a slow client, and what happens when that is full.
func (c *checker) queue(key string, r *Route) {
	c.atLeast(key+".high_water_mark", int64(r.HighWaterMark), 1)
	c.atLeast(key+".high_water_bytes", int64(r.HighWaterBytes), 1)
	if r.HighWaterBytes > 0 && r.HighWaterBytes < c.Server.MaxMessage {
		c.warn(key+".high_water_bytes", "is less than server.max_message: the largest messages fit only where nothing else waits")
	}
	c.oneOf(key+".on_full", r.OnFull, []string{OnFullDropOldest, OnFullDropNewest, OnFullConflate, OnFullDisconnect, OnFullBlock})
	switch {
	case r.OnFull == OnFullBlock && r.Stalls():
		c.fault(key+".on_full", `is "block" on a route whose clients share a connection: one slow client would hold all; want "drop-oldest", "drop-newest", "conflate" or "disconnect"`)
	case r.Socket == zmtp.REP && r.OnFull != OnFullBlock && r.OnFull != OnFullDisconnect:
		c.fault(key+".on_full", `is %q on a REP route: a request that were dropped would have its answer go to another; want "block" or "disconnect"`, r.OnFull)
	case r.OnFull == OnFullConflate && slices.Contains([]zmtp.SocketType{zmtp.REQ, zmtp.REP, zmtp.ROUTER}, r.Socket):
		c.fault(key+".on_full", `is "conflate" on a %s route, where messages begin with no topic`, r.Socket)
	}
	switch {
	case r.Flush >= time.Second:
		c.fault(key+".flush", "is %v: want less than 1s", r.Flush)
	case r.Flush > 0 && !(r.Shared() && r.Socket.Subscribes()):
		c.warn(key+".flush", "has no effect: messages wait for others on SUB and XSUB routes only, where clients share a connection")
	}
	if c.oneOf(key+".share", r.Share, []string{"", ShareRequests}) && r.Share == ShareRequests {
		switch {
		case r.Socket != zmtp.DEALER && r.Socket != zmtp.REQ:
			c.fault(key+".share", `is "requests" on a %s route: want DEALER or REQ`, r.Socket)
		case r.Credentials == CredentialsClient:
			c.fault(key+".share", `is "requests" with credentials = "client": each client has an upstream of its own then`)
		case r.PerUser():
			c.fault(key+".share", `is "requests", and the upstream depends on who the client is`)
		}
	}
}

// identity checks what tells the backend who the client is.
func (c *checker) identity(key string, r *Route) {
	own := len(r.Bind) == 0 && !r.Shared()
	if c.oneOf(key+".routing_id", r.RoutingID, []string{"", RoutingIDClient}) && r.RoutingID != "" && !own {
		c.fault(key+".routing_id", `is "client" on a route whose clients share a connection: want "", or no bind and no shared upstream`)
	}
	if !c.oneOf(key+".stamp", r.Stamp, []string{"", StampFrame, StampRoutingID}) || r.Stamp == "" {
		return
	}
	switch {
	case !r.Sends():
		c.fault(key+".stamp", "is %q on a %s route, whose clients send nothing", r.Stamp, r.Socket)
	case r.Stamp == StampRoutingID && !slices.Contains([]zmtp.SocketType{zmtp.DEALER, zmtp.REQ, zmtp.ROUTER}, r.Socket):
		c.fault(key+".stamp", `is "routing-id" on a %s route: only DEALER, REQ and ROUTER tell a routing id; want "frame"`, r.Socket)
	case r.Stamp == StampRoutingID && !own:
		c.fault(key+".stamp", `is "routing-id" on a route whose clients share a connection: want "frame"`)
	case r.Stamp == StampRoutingID && r.RoutingID == RoutingIDClient:
		c.fault(key+".stamp", `is "routing-id", and routing_id = "client" has the client choose it: want only one of them`)
	}
}

// allow checks the rules of who may do what.
func (c *checker) allow(key string, r *Route) {
	c.oneOf(key+".on_wide", r.OnWide, []string{OnWideRefuse, OnWideNarrow})
	if _, err := rights.Parse("", r.Separator); err != nil {
		c.fault(key+".separator", `is %q: want one ASCII character other than { } + # *, or ""`, r.Separator)
		return
	}
	if r.Allow == nil {
		c.warn(key, "has no allow: whoever may log in here may do all that a %s socket can", r.Socket)
	}
	for i, rule := range r.Allow {
		of := entry(key+".allow", i)
		if !c.given[of+".user"] {
			c.fault(of, `has no user: want a user name, or "*" for everybody`)
		}
		c.patterns(of+".subscribe", rule.Subscribe, r.Separator)
		c.patterns(of+".send", rule.Send, r.Separator)
		switch {
		case len(rule.Subscribe) == 0 && len(rule.Send) == 0:
			c.warn(of, "grants nothing: it has neither subscribe nor send")
		case len(rule.Subscribe) > 0 && !r.Receives():
			c.warn(of+".subscribe", "has no effect: clients of a %s route receive nothing", r.Socket)
		case len(rule.Send) > 0 && !r.Sends():
			c.warn(of+".send", "has no effect: clients of a %s route send nothing", r.Socket)
		}
	}
}

func (c *checker) patterns(key string, patterns []string, separator string) {
	for i, p := range patterns {
		if _, err := rights.Parse(p, separator); err != nil {
			c.fault(entry(key, i), "%v", err)
		} else if p == "*" {
			c.warn(entry(key, i), `"*" is no wildcard here, but the topics that begin with a star: "#" stands for all`)
		}
	}
}

// placeholders reports those that may not stand here. allowed are their kinds.
func (c *checker) placeholders(key, text string, allowed ...string) {
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return
		}
		name, after, _ := strings.Cut(after, "}")
		kind, member, dotted := strings.Cut(name, ".")
		if !slices.Contains(allowed, kind) || dotted == (kind == "user") || dotted && member == "" {
			c.fault(key, "holds {%s}: want {%s}", name, strings.Join(allowed, "}, {"))
		}
		rest = after
	}
}
