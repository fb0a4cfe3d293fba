package config

import (
	"net"
	"path/filepath"
	"strings"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zws"
)

func (c *checker) server() {
	s := &c.Server
	c.listen("server.listen", s.Listen)
	for i, o := range s.Origins {
		c.origin(entry("server.origins", i), o)
	}
	if s.ProxyProtocol && len(s.TrustedProxies) == 0 {
		c.fault("server.proxy_protocol", "needs server.trusted_proxies: without them any client could claim any address")
	}
	for i, p := range s.TrustedProxies {
		if p.Bits() == 0 {
			c.warn(entry("server.trusted_proxies", i), "trusts every address: any client can claim any address, and that it came over TLS")
		}
	}
	c.allowedHosts()
	if s.InsecurePlaintext {
		c.warn("server.insecure_plaintext", "passwords and tokens are accepted from any address without TLS")
	}
	if s.QueryToken {
		c.warn("server.query_token", "tokens in URLs end up in the logs of proxies and in the histories of browsers")
	}
	if s.InsecureFileModes {
		c.warn("server.insecure_file_modes", "files with secrets are accepted although other users can access them")
	}
	differs := s.CurveCert != absolute(c.Dir, string(Default().Server.CurveCert))
	if s.CurveCert != "" && (c.isGiven("server.curve_cert", differs) || certExists(s.CurveCert)) {
		c.secretCert("server.curve_cert", s.CurveCert)
	}
	if s.Static != "" {
		c.directory("server.static", s.Static)
	}
}

// origin checks one origin: scheme://host[:port] as a browser sends it.
func (c *checker) origin(key, o string) {
	if o == "*" {
		c.warn(key, "pages of any origin can connect; cookies, Basic and TLS certificates then do not count as a login")
		return
	}
	if !zws.ValidOrigin(o) {
		c.fault(key, `is %q: want "*", scheme://host[:port] like "https://portal.example", or "https://*.example" for all hosts below a domain`, o)
	} else if strings.Contains(o, "*") {
		c.warn(key, "pages of any host below the domain can connect; cookies, Basic and TLS certificates then do not count as a login")
	}
}

var tlsChoices = []string{TLSSelfSigned, TLSFiles, TLSACME, TLSOff}

func (c *checker) tls() {
	s := &c.Server
	c.oneOf("server.tls", s.TLS, tlsChoices)
	switch s.TLS {
	case TLSSelfSigned:
		c.makeable("server.key", Path(filepath.Dir(string(s.Key))))
	case TLSFiles:
		c.required("server.cert", string(s.Cert), `tls = "files"`)
		c.required("server.key", string(s.Key), `tls = "files"`)
		c.pair("server", s.Cert, s.Key)
	case TLSACME:
		if len(s.Hosts) == 0 {
			c.fault("server.hosts", `missing: tls = "acme" needs the names to request certificates for, like ["bridge.example"]`)
		}
		c.required("server.acme_cache", string(s.ACMECache), `tls = "acme"`)
		c.makeable("server.acme_cache", s.ACMECache)
	case TLSOff:
		if s.ClientCA != "" {
			c.fault("server.client_ca", `needs TLS, and server.tls is "off": want another tls, or no client_ca`)
		}
		if !isLoopback(s.Listen) && len(s.TrustedProxies) == 0 {
			c.warn("server.tls", "%s is reached without TLS: anyone on the network path can read everything", s.Listen)
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
	c.atLeast("server.max_subscription_bytes_per_user", int64(s.MaxSubscriptionBytesPerUser), 1)
	if s.MaxSubscriptionBytesPerUser > 0 && s.MaxSubscriptionBytesPerUser < s.MaxTopic {
		c.warn("server.max_subscription_bytes_per_user", "is less than server.max_topic: nobody can subscribe to the longest topics")
	}
	c.atLeast("server.max_channels", int64(s.MaxChannels), 1)
	c.atLeast("server.max_topic", int64(s.MaxTopic), 1)
	c.atLeast("server.max_connection_bytes", int64(s.MaxConnectionBytes), 1)
	if s.MaxConnectionBytes > 0 && s.MaxConnectionBytes < s.MaxMessage {
		c.warn("server.max_connection_bytes", "is less than server.max_message: the largest messages fit only into an empty queue")
	}
	c.atLeast("server.max_connections", int64(s.MaxConnections), 1)
	c.atLeast("server.max_connections_per_ip", int64(s.MaxConnectionsPerIP), 0)
	c.atLeast("server.max_failures", int64(s.MaxFailures), 0)
	if s.MaxFailures == 0 {
		c.warn("server.max_failures", "is 0: passwords can be guessed without limit")
	}
}
