package config

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/zap"
)

// allowedHosts checks server.allowed_hosts. It warns of a name that the file suggests as the
// bridge's own but that routes without credentials will refuse.
func (c *checker) allowedHosts() {
	s := &c.Server
	for i, h := range s.AllowedHosts {
		if h == "" || strings.ContainsAny(h, "/*@ ") {
			c.fault(entry("server.allowed_hosts", i), `is %q: want a host name as in a Host header, like "bridge.example", with a port or without`, h)
		}
	}
	if s.TLS != TLSOff {
		return
	}
	null := slices.IndexFunc(c.Routes, func(r Route) bool { return slices.Contains(r.ClientMechanisms, zap.NULL) })
	if null < 0 {
		return
	}
	for _, name := range c.ownNames() {
		if !clientaddr.KnownHost(name, s.AllowedHosts) {
			c.warn("server.allowed_hosts", "lacks %q: without TLS, routes that take NULL, such as %s, answer other names than "+
				"localhost, names in .local and that of this machine with HTTP 421", name, c.Routes[null].Path)
		}
	}
}

// ownNames returns the names by which clients probably reach the bridge without TLS: that of
// server.listen, those of server.hosts, and those of origins. Pages of https origins reach it
// through a proxy, which says so if it is trusted.
func (c *checker) ownNames() []string {
	s := &c.Server
	names := slices.Clone(s.Hosts)
	if host, _, err := net.SplitHostPort(s.Listen); err == nil && host != "" {
		names = append(names, host)
	}
	for _, o := range s.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Hostname() == "" || strings.Contains(u.Host, "*") || u.Scheme == "https" && len(s.TrustedProxies) > 0 {
			continue
		}
		names = append(names, u.Hostname())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
