package config

import (
	"maps"
	"slices"
	"strings"
)

func (c *checker) zap() {
	z := &c.Zap
	c.domain("zap.domain", z.Domain)
	c.positive("zap.timeout", z.Timeout)
	for i, endpoint := range z.Listen {
		key := entry("zap.listen", i)
		if !c.endpoint(key, endpoint, true) {
			continue
		}
		if LocalEndpoint(endpoint) {
			if z.Clients == "" && !isSocketFile(endpoint) {
				c.warn(key, "every process on this machine can try passwords at %s: want zap.clients, or an ipc path that only your servers can open", endpoint)
			}
			continue
		}
		if z.Clients == "" {
			c.fault(key, "is neither ipc nor loopback, so CURVE is needed: want zap.clients, a directory with the zcert file of each server that may ask")
		}
		if !certExists(c.Server.CurveCert) {
			c.fault(key, "is neither ipc nor loopback, so CURVE is needed: want server.curve_cert, created with zwsbridge keygen")
		}
	}
	if z.Clients != "" {
		c.directory("zap.clients", z.Clients)
		if len(z.Listen) > 0 {
			c.curveKeys("zap.clients", z.Clients)
		}
	}
	for i, d := range z.ListenDomains {
		c.domain(entry("zap.listen_domains", i), d)
	}
	if len(z.ListenDomains) > 0 && len(z.Listen) == 0 {
		c.warn("zap.listen_domains", "has no effect without zap.listen")
	}
}

// isSocketFile reports whether an endpoint is a file, whose directory decides who can open it.
func isSocketFile(endpoint string) bool {
	path, ok := strings.CutPrefix(endpoint, "ipc://")
	return ok && !strings.HasPrefix(path, "@")
}

// domain checks the name of a ZAP domain (27/ZAP).
func (c *checker) domain(key, d string) {
	if d == "" || len(d) > 255 || strings.ContainsFunc(d, func(r rune) bool { return r <= ' ' || r > '~' || r == '{' || r == '}' }) {
		c.fault(key, "is %q: want 1 to 255 ASCII characters without spaces and braces", d)
	}
}

func (c *checker) chain() {
	switch {
	case c.ownHandler && len(c.Zap.Chain) > 0:
		c.warn("zap.chain", "has no effect: the program decides on logins itself")
	case c.ownHandler:
	case len(c.Zap.Chain) == 0:
		if !c.hasFault("zap.chain") {
			c.warn("zap", `has no chain: nobody can log in; want one like [ { authn = "users" } ]`)
		}
	}
	used := make(map[string]bool)
	for i, e := range c.Zap.Chain {
		c.chainEntry(entry("zap.chain", i), e, used)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Auth)) {
		if key := joinKey("auth", name); !used[name] && !c.ownHandler && !c.hasFault(key) && !c.hasFault("zap.chain") {
			c.warn(key, "has no effect: no entry of zap.chain names it")
		}
	}
}

// chainEntry checks one entry of the chain and adds the names in it to used.
func (c *checker) chainEntry(key string, e ChainEntry, used map[string]bool) {
	if e.Authn == "" && !c.hasFault(key) {
		c.fault(key, "has no authn: want %s", c.authNames())
	} else if e.Authn != "" {
		c.member(key+".authn", e.Authn, used)
	}
	for n, name := range e.Authz {
		of := entry(key+".authz", n)
		a, ok := c.member(of, name, used)
		if _, authorizes := a.Settings.(authorizer); ok && !authorizes && a.Settings != nil {
			c.fault(of, `%q is of type %q, which cannot judge logins of another authenticator: want one of type %s`, name, a.Type, choices(authorizerTypes()))
		}
	}
	for n, d := range e.Domains {
		of := entry(key+".domains", n)
		c.domain(of, d)
		if !slices.Contains(append(c.ClientDomains(), c.BindDomains()...), d) && len(c.Zap.Listen) == 0 {
			c.warn(of, "has no effect: %q is not the domain of any route", d)
		}
	}
}

// authorizerTypes returns the types that authz can name.
func authorizerTypes() []string {
	return slices.DeleteFunc(authTypes(), func(name string) bool {
		_, ok := authKinds[name]().(authorizer)
		return !ok
	})
}

// member looks up an authenticator that the chain names.
func (c *checker) member(key, name string, used map[string]bool) (Auth, bool) {
	used[name] = true
	a, ok := c.Auth[name]
	if !ok {
		c.fault(key, "%q is not defined: want %s", name, c.authNames())
	}
	return a, ok
}

func (c *checker) authNames() string {
	if len(c.Auth) == 0 {
		return "the name of an [auth.NAME] table; none is defined"
	}
	return choices(slices.Sorted(maps.Keys(c.Auth)))
}

// authenticates reports whether the table key, an [auth.NAME], is the authn of an entry of the
// chain.
func (c *checker) authenticates(key string) bool {
	return slices.ContainsFunc(c.Zap.Chain, func(e ChainEntry) bool { return joinKey("auth", e.Authn) == key })
}

// authenticators checks the settings of every [auth.NAME].
func (c *checker) authenticators() {
	for _, name := range slices.Sorted(maps.Keys(c.Auth)) {
		if s := c.Auth[name].Settings; s != nil { // nil is a fault already
			s.validate(c, joinKey("auth", name))
		}
	}
}

// clientTLS checks the TLS files of an HTTP client.
func (c *checker) clientTLS(key string, ca, cert, private Path) {
	c.roots(key+".ca", ca)
	c.pair(key, cert, private)
	if (cert == "") != (private == "") {
		c.fault(key, "has only one of cert and key: want both or neither")
	}
}
