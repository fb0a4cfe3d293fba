package config

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/js"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var socketTypes = []zmtp.SocketType{
	zmtp.SUB, zmtp.XSUB, zmtp.DEALER, zmtp.REQ, zmtp.ROUTER, zmtp.REP,
	zmtp.PUSH, zmtp.PULL, zmtp.PUB, zmtp.XPUB, zmtp.PAIR,
}

func (c *checker) routes() {
	if len(c.Routes) == 0 && !c.hasFault("route") {
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
		c.sources(key, r)
		c.bind(key, r, binds)
		c.mechanism(key, r)
		c.clientMechanisms(key, r)
		c.queue(key, r)
		c.subscriptionBytes(key, r)
		c.share(key, r)
		c.identity(key, r)
		c.allow(key, r)
		c.relay(key, r)
		c.routeHistory(key, r)
	}
}

// routePath checks that a request can have the path: it is absolute, clean, and no other route
// has it. seen are the paths of the routes before, with their keys.
func (c *checker) routePath(key, p string, seen map[string]string) {
	switch {
	case p == "":
		c.fault(key, `has no path: want one like "/devices"`)
		return
	case p[0] != '/' || path.Clean(p) != p || strings.ContainsAny(p, "?#{}"):
		c.fault(key+".path", `is %q: want an absolute path without trailing slash, "..", query and braces, like "/devices"`, p)
	}
	if other, twice := seen[p]; twice {
		c.fault(key+".path", "%q is also the path of %s: want another", p, other)
	}
	seen[p] = key
	if strings.Contains(p, "*") {
		c.warn(key+".path", `is %q, and "*" is not a wildcard: only requests for this very path reach the route`, p)
	}
	if js.Serves(p) {
		c.fault(key+".path", "is %q, where the bridge serves its JavaScript client: want another", p)
	} else if c.Server.Static != "" {
		file := filepath.Join(string(c.Server.Static), filepath.FromSlash(p))
		if _, err := os.Stat(file); err == nil {
			c.warn(key+".path", "hides %s, a file of server.static", file)
		}
	}
}

// clientDomain checks that some entry of the chain decides on the clients of the route. A
// fault in zap.domain, the default, is reported there.
func (c *checker) clientDomain(key string, r *Route) {
	if r.Domain != c.Zap.Domain {
		c.domain(key+".domain", r.Domain)
	}
	answers := func(e ChainEntry) bool { return len(e.Domains) == 0 || slices.Contains(e.Domains, r.Domain) }
	if len(c.Zap.Chain) > 0 && !c.ownHandler && !slices.ContainsFunc(c.Zap.Chain, answers) {
		c.warn(key+".domain", "no entry of zap.chain is for %q: nobody can log in", r.Domain)
	}
}

var clientMechanisms = []zap.Mechanism{zap.NULL, zap.PLAIN, zap.BEARER, zap.CURVE, zap.TLS}

// undecided reports a route of whose mechanisms no entry of the chain decides on any.
func (c *checker) undecided(key string, r *Route) {
	entries := 0
	for _, e := range c.Zap.Chain {
		if len(e.Domains) > 0 && !slices.Contains(e.Domains, r.Domain) {
			continue
		}
		entries++
		d, ok := c.Auth[e.Authn].Settings.(decider)
		if !ok || slices.ContainsFunc(d.decides(), func(m zap.Mechanism) bool { return slices.Contains(r.ClientMechanisms, m) }) {
			return
		}
	}
	known := func(m zap.Mechanism) bool { return slices.Contains(clientMechanisms, m) }
	if entries > 0 && slices.ContainsFunc(r.ClientMechanisms, known) && !c.ownHandler && len(r.ClientMechanisms) > 0 { // else reported elsewhere
		c.warn(key, "no entry of zap.chain for %q decides on a login by %s: nobody can log in", r.Domain, choices(r.ClientMechanisms))
	}
}

// clientMechanisms checks how clients log in.
func (c *checker) clientMechanisms(key string, r *Route) {
	of := key + ".client_mechanisms"
	if len(r.ClientMechanisms) == 0 {
		c.fault(of, `is empty, so nobody could log in: want some of "NULL", "PLAIN", "BEARER", "CURVE" and "TLS"`)
	}
	if c.hasFault(of) {
		return
	}
	given := c.isGiven(of, !slices.Equal(r.ClientMechanisms, defaultClientMechanisms(c.Config, r)))
	c.undecided(of, r)
	for i, m := range r.ClientMechanisms {
		of := entry(of, i)
		if !slices.Contains(clientMechanisms, m) {
			c.fault(of, "is %q: want %s", m, choices(clientMechanisms))
			continue
		}
		passedOn := m == zap.PLAIN || m == zap.BEARER
		switch {
		case r.Credentials == CredentialsClient && !passedOn:
			c.fault(of, `is %q, and credentials = "client" can pass on only "PLAIN" and "BEARER"`, m)
		case m == zap.CURVE && given && !certExists(c.Server.CurveCert):
			c.fault(of, `is "CURVE", and server.curve_cert does not exist: create it with zwsbridge keygen`)
		case m == zap.TLS && c.Server.ClientCA == "":
			c.fault(of, `is "TLS": want server.client_ca, which verifies client certificates`)
		case m == zap.NULL:
			c.warn(of, "clients can connect without a login, if an entry of the chain accepts that")
		}
	}
}

var onFullChoices = []string{OnFullDropOldest, OnFullDropNewest, OnFullConflate, OnFullDisconnect, OnFullBlock, OnFullReplay}

// queue checks what is kept for a slow client, and what happens when that is full.
func (c *checker) queue(key string, r *Route) {
	c.atLeast(key+".high_water_mark", int64(r.HighWaterMark), 1)
	c.atLeast(key+".high_water_bytes", int64(r.HighWaterBytes), 1)
	if r.HighWaterBytes > 0 && r.HighWaterBytes < c.Server.MaxMessage {
		c.warn(key+".high_water_bytes", "is less than server.max_message: the largest messages fit only into an empty queue")
	}
	if c.Server.MaxConnectionBytes > 0 && r.HighWaterBytes > c.Server.MaxConnectionBytes {
		c.warn(key+".high_water_bytes", "is more than server.max_connection_bytes, which limits it")
	}
	c.oneOf(key+".on_full", r.OnFull, onFullChoices)
	switch {
	case r.OnFull == OnFullBlock && r.Stalls():
		c.fault(key+".on_full", `is "block" on a route whose clients share a connection: one slow client would hold up all; want "drop-oldest", "drop-newest", "conflate" or "disconnect"`)
	case r.Socket == zmtp.REP && r.OnFull != OnFullBlock && r.OnFull != OnFullDisconnect:
		c.fault(key+".on_full", `is %q on a REP route: after a dropped request, replies would go to the wrong peer; want "block" or "disconnect"`, r.OnFull)
	case r.OnFull == OnFullConflate && slices.Contains([]zmtp.SocketType{zmtp.REQ, zmtp.REP, zmtp.ROUTER}, r.Socket):
		c.fault(key+".on_full", `is "conflate" on a %s route, whose messages do not begin with a topic`, r.Socket)
	}
	switch {
	case r.Flush >= time.Second:
		c.fault(key+".flush", "is %v: want less than 1s", r.Flush)
	case r.Flush > 0 && r.Share == ShareNone:
		c.fault(key+".flush", `is %v with share = "none": only messages that clients share are collected`, r.Flush)
	case r.Flush > 0 && !(r.Shared() && r.Socket.Subscribes()):
		c.warn(key+".flush", "has no effect: it collects messages only on SUB and XSUB routes whose clients share a connection")
	}
}

// subscriptionBytes checks what clients, or backends that connect, can be subscribed to.
func (c *checker) subscriptionBytes(key string, r *Route) {
	key += ".max_subscription_bytes"
	c.atLeast(key, int64(r.MaxSubscriptionBytes), 1)
	peers := len(r.Bind) > 0 && subscribes(r)
	switch {
	case !peers && !r.Socket.Subscribes():
		if c.isGiven(key, r.MaxSubscriptionBytes != defaultRoute().MaxSubscriptionBytes) {
			c.warn(key, "has no effect: only clients of SUB and XSUB routes subscribe, and backends that connect to PUB and XPUB routes")
		}
	case r.MaxSubscriptionBytes > 0 && r.MaxSubscriptionBytes/10 < c.Server.MaxTopic:
		c.warn(key, "a tenth of it, which one user can have, is less than server.max_topic: nobody can subscribe to the longest topics")
	}
}

// share checks which clients share a connection to the backends.
func (c *checker) share(key string, r *Route) {
	key += ".share"
	if !c.oneOf(key, r.Share, []string{"", ShareRequests, ShareNone}) {
		return
	}
	switch {
	case r.Share == ShareNone && !r.Socket.Subscribes():
		c.fault(key, `is "none" on a %s route: want SUB or XSUB`, r.Socket)
	case r.Share == ShareNone && len(r.Bind) > 0:
		c.fault(key, `is "none" with bind: clients share the backends that connect; want connect`)
	case r.Share != ShareRequests:
	case r.Socket != zmtp.DEALER && r.Socket != zmtp.REQ:
		c.fault(key, `is "requests" on a %s route: want DEALER or REQ`, r.Socket)
	case r.Credentials == CredentialsClient:
		c.fault(key, `is "requests" with credentials = "client", which gives each client its own upstream: want "", or credentials = "static"`)
	case r.PerUser():
		c.fault(key, `is "requests", and the upstream depends on the client: want "", or connect, username and the rest without placeholders`)
	}
}

// identity checks how the backend learns which client a message comes from.
func (c *checker) identity(key string, r *Route) {
	own := len(r.Bind) == 0 && !r.Shared()
	if c.oneOf(key+".routing_id", r.RoutingID, []string{"", RoutingIDClient}) && r.RoutingID != "" && !own {
		c.fault(key+".routing_id", `is "client" on a route whose clients share a connection: want "", or neither bind nor a shared upstream`)
	}
	if !c.oneOf(key+".stamp", r.Stamp, []string{"", StampFrame, StampRoutingID}) || r.Stamp == "" {
		return
	}
	switch {
	case !r.Sends():
		c.fault(key+".stamp", `is %q on a %s route, whose clients send nothing: want ""`, r.Stamp, r.Socket)
	case r.Stamp == StampRoutingID && !slices.Contains([]zmtp.SocketType{zmtp.DEALER, zmtp.REQ, zmtp.ROUTER}, r.Socket):
		c.fault(key+".stamp", `is "routing-id" on a %s route: only DEALER, REQ and ROUTER send a routing id; want "frame"`, r.Socket)
	case r.Stamp == StampRoutingID && !own:
		c.fault(key+".stamp", `is "routing-id" on a route whose clients share a connection: want "frame"`)
	case r.Stamp == StampRoutingID && r.RoutingID == RoutingIDClient:
		c.fault(key+".stamp", `is "routing-id", and routing_id = "client" lets the client choose it: want only one of them`)
	}
}

// allow checks the rules for subscribing and sending.
func (c *checker) allow(key string, r *Route) {
	c.oneOf(key+".on_wide", r.OnWide, []string{OnWideRefuse, OnWideNarrow})
	if _, err := rights.Parse("", *r.Separator); err != nil {
		c.fault(key+".separator", `is %q: want one ASCII character other than { } + # *, or ""`, *r.Separator)
		return
	}
	switch {
	case r.AllowAll && r.Allow != nil:
		c.fault(key, "has AllowAll and rules: want one of them")
	case r.Allow == nil && !r.AllowAll && r.Socket != "":
		c.warn(key, `has no allow: every client that can log in here can do everything that a %s socket can; allow = "all" says so on purpose`, r.Socket)
	}
	for i, rule := range r.Allow {
		of := entry(key+".allow", i)
		if c.hasFault(of) {
			continue
		}
		if !c.isGiven(of+".user", true) {
			c.fault(of, `has no user: want a user name, or "*" for everybody`)
		}
		c.patterns(of+".subscribe", rule.Subscribe, *r.Separator)
		c.patterns(of+".send", rule.Send, *r.Separator)
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
			c.warn(entry(key, i), `"*" is not a wildcard here, it means topics that begin with a star: want "#" for all topics`)
		}
	}
}

// placeholders reports placeholders that this key cannot have. allowed are their kinds.
func (c *checker) placeholders(key, text string, allowed ...string) {
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return
		}
		name, after, _ := strings.Cut(after, "}")
		kind, member, dotted := strings.Cut(name, ".")
		if !slices.Contains(allowed, kind) || dotted == (kind == "user") || dotted && member == "" {
			forms := strings.NewReplacer("claim", "claim.NAME", "meta", "meta.NAME").Replace(strings.Join(allowed, "}, {"))
			c.fault(key, "holds {%s}: want {%s}", name, forms)
		}
		rest = after
	}
}
