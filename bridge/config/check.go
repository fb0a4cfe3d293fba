package config

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
)

// checker looks for what decodes and yet cannot be, or should not be without a word.
type checker struct {
	*reporter
	*Config
	given map[string]bool
}

func (c *checker) check() {
	c.server()
	c.tls()
	c.limits()
	c.admin()
	c.zap()
	c.chain()
	for _, name := range slices.Sorted(maps.Keys(c.Auth)) {
		c.auth(joinKey("auth", name), c.Auth[name])
	}
	c.routes()
	c.secrets()
}

func (c *checker) server() {
	s := &c.Server
	c.listen("server.listen", s.Listen)
	for i, o := range s.Origins {
		c.origin(entry("server.origins", i), o)
	}
	if s.ProxyProtocol && len(s.TrustedProxies) == 0 {
		c.fault("server.proxy_protocol", "needs server.trusted_proxies: anybody could claim any address")
	}
	for i, p := range s.TrustedProxies {
		if p.Bits() == 0 {
			c.warn(entry("server.trusted_proxies", i), "trusts every address: any client may claim any address and that it came over TLS")
		}
	}
	if s.InsecurePlaintext {
		c.warn("server.insecure_plaintext", "passwords and tokens are taken from any address without TLS")
	}
	if s.QueryToken {
		c.warn("server.query_token", "tokens in URLs end up in the logs of proxies and in the histories of browsers")
	}
	if s.CurveCert != "" && (c.given["server.curve_cert"] || certExists(s.CurveCert)) {
		c.secretCert("server.curve_cert", s.CurveCert)
	}
	if s.Static != "" {
		c.folder("server.static", s.Static)
	}
}

// origin checks one origin: scheme://host[:port] as a browser sends it.
func (c *checker) origin(key, o string) {
	if o == "*" {
		c.warn(key, "pages of any origin may connect; cookie, Basic and TLS certificate then do not count as a login")
		return
	}
	u, err := url.Parse(o)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != o {
		c.fault(key, `is %q: want "*" or scheme://host[:port] like "https://portal.example"`, o)
	}
}

var tlsChoices = []string{TLSSelfSigned, TLSFiles, TLSACME, TLSOff}

func (c *checker) tls() {
	s := &c.Server
	c.oneOf("server.tls", s.TLS, tlsChoices)
	switch s.TLS {
	case TLSFiles:
		c.required("server.cert", string(s.Cert), `tls = "files"`)
		c.required("server.key", string(s.Key), `tls = "files"`)
		c.pair("server.cert", s.Cert, s.Key)
	case TLSACME:
		if len(s.Hosts) == 0 {
			c.fault("server.hosts", `missing: tls = "acme" needs the names that certificates are asked for`)
		}
		c.required("server.acme_cache", string(s.ACMECache), `tls = "acme"`)
	case TLSOff:
		if s.ClientCA != "" {
			c.fault("server.client_ca", `needs TLS, and server.tls is "off"`)
		}
		if !isLoopback(s.Listen) && len(s.TrustedProxies) == 0 {
			c.warn("server.tls", "%s is reached without TLS: whoever is on the way reads along", s.Listen)
		}
	}
	for i, h := range s.Hosts {
		if h == "" || strings.ContainsAny(h, "/:* ") && net.ParseIP(h) == nil {
			c.fault(entry("server.hosts", i), "is %q: want a DNS name without port or wildcard", h)
		} else if s.TLS == TLSACME {
			if err := certs.CheckACMEHost(h); err != nil {
				c.fault(entry("server.hosts", i), "%s", reason(err))
			}
		}
	}
	if s.ACMEURL != "" {
		c.url("server.acme_url", s.ACMEURL, "https")
	}
	c.roots("server.client_ca", s.ClientCA)
}

func (c *checker) limits() {
	s := &c.Server
	c.positive("server.handshake_timeout", s.HandshakeTimeout)
	c.positive("server.write_timeout", s.WriteTimeout)
	c.atLeast("server.max_handshake", int64(s.MaxHandshake), 1<<10)
	c.atLeast("server.max_message", int64(s.MaxMessage), 1)
	c.atLeast("server.max_frames", int64(s.MaxFrames), 1)
	c.atLeast("server.max_subscriptions", int64(s.MaxSubscriptions), 1)
	c.atLeast("server.max_channels", int64(s.MaxChannels), 1)
	c.atLeast("server.max_topic", int64(s.MaxTopic), 1)
	c.atLeast("server.max_connections", int64(s.MaxConnections), 1)
	c.atLeast("server.max_connections_per_ip", int64(s.MaxConnectionsPerIP), 0)
	c.atLeast("server.max_failures", int64(s.MaxFailures), 0)
	if s.MaxFailures == 0 {
		c.warn("server.max_failures", "is 0: passwords may be guessed without end")
	}
}

func (c *checker) zap() {
	z := &c.Zap
	c.domain("zap.domain", z.Domain)
	c.positive("zap.timeout", z.Timeout)
	for i, endpoint := range z.Listen {
		key := entry("zap.listen", i)
		if !c.endpoint(key, endpoint, true) || LocalEndpoint(endpoint) {
			continue
		}
		if z.Clients == "" {
			c.fault(key, "is neither ipc nor loopback, so CURVE is needed, with zap.clients: a folder with a zcert file for each that may ask")
		}
		if !certExists(c.Server.CurveCert) {
			c.fault(key, "is neither ipc nor loopback, so CURVE is needed, with server.curve_cert: make one with zwsbridge keygen")
		}
	}
	if z.Clients != "" {
		c.folder("zap.clients", z.Clients)
	}
}

// domain checks the name of a ZAP domain (27/ZAP).
func (c *checker) domain(key, d string) {
	if d == "" || len(d) > 255 || strings.ContainsFunc(d, func(r rune) bool { return r <= ' ' || r > '~' || r == '{' || r == '}' }) {
		c.fault(key, "is %q: want 1 to 255 ASCII characters without spaces and braces", d)
	}
}

func (c *checker) chain() {
	if len(c.Zap.Chain) == 0 {
		c.warn("zap", "has no chain: nobody can log in")
	}
	used := make(map[string]bool)
	for i, e := range c.Zap.Chain {
		key := entry("zap.chain", i)
		if e.Authn == "" {
			c.fault(key, "has no authn: want %s", c.authNames())
		} else {
			c.member(key+".authn", e.Authn, used)
		}
		for n, name := range e.Authz {
			name, of := name, entry(key+".authz", n)
			if a, ok := c.member(of, name, used); ok && !a.authorizes() {
				c.fault(of, `%q is of type %q, which cannot look at logins of others: want one of type "ip" or "http"`, name, a.Type)
			}
		}
		for n, d := range e.Domains {
			of := entry(key+".domains", n)
			c.domain(of, d)
			if !slices.Contains(c.domains(), d) && len(c.Zap.Listen) == 0 {
				c.warn(of, "%q is the domain of no route: nobody asks for it", d)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Auth)) {
		if !used[name] {
			c.warn(joinKey("auth", name), "is in no entry of zap.chain: nobody asks it")
		}
	}
}

// member looks up an authenticator that the chain names.
func (c *checker) member(key, name string, used map[string]bool) (Auth, bool) {
	used[name] = true
	a, ok := c.Auth[name]
	if !ok {
		c.fault(key, "%q is not there: want %s", name, c.authNames())
	}
	return a, ok
}

func (c *checker) authNames() string {
	if len(c.Auth) == 0 {
		return "the name of an [auth.NAME] table, of which there is none"
	}
	return choices(slices.Sorted(maps.Keys(c.Auth)))
}

// domains are all ZAP domains that somebody here asks for.
func (c *checker) domains() []string {
	return append(c.ClientDomains(), c.BindDomains()...)
}

func (c *checker) oneOf(key, value string, allowed []string) bool {
	if slices.Contains(allowed, value) {
		return true
	}
	c.fault(key, "is %q: want %s", value, choices(allowed))
	return false
}

func (c *checker) required(key, value, because string) {
	if value == "" {
		c.fault(key, "missing: %s needs it", because)
	}
}

func (c *checker) positive(key string, d time.Duration) {
	if d <= 0 {
		c.fault(key, "is %v: want a duration above 0", d)
	}
}

func (c *checker) atLeast(key string, n, least int64) {
	if n < least {
		c.fault(key, "is %d: want at least %d", n, least)
	}
}

func (c *checker) listen(key, address string) {
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil || !validPort(port):
		c.fault(key, `is %q: want host:port like "127.0.0.1:8443"`, address)
	case host == "*": // as in bind, whose form is ZeroMQ's
		c.fault(key, "is %q: all addresses of this machine are %q here", address, ":"+port)
	}
}

// url checks a URL without showing it: it may hold a password.
func (c *checker) url(key, text string, schemes ...string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		c.fault(key, "is no URL with a host and the scheme %s", choices(schemes))
	}
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == text
}

// isLoopback tells whether host:port is on this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func entry(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }
