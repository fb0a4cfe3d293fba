package config

import (
	"net"
	"net/netip"
	"strings"
)

// listener is an address that the bridge listens at.
type listener struct{ key, host, port string }

// listeners reports addresses that cannot be open at the same time.
func (c *checker) listeners() {
	var all []listener
	add := func(key, address string) {
		host, port, err := net.SplitHostPort(address)
		if err == nil && port != "0" {
			all = append(all, listener{key, host, port})
		}
	}
	add("server.listen", c.Server.Listen)
	if c.Admin.Listen != c.Server.Listen { // a fault already
		add("admin.listen", c.Admin.Listen)
	}
	seen := make(map[string]bool) // a second of the same text is a fault already
	for i, e := range c.Zap.Listen {
		if address, ok := strings.CutPrefix(e, "tcp://"); ok {
			add(entry("zap.listen", i), address)
		}
	}
	for i := range c.Routes {
		for n, e := range c.Routes[i].Bind {
			if address, ok := strings.CutPrefix(e, "tcp://"); ok && !seen[e] {
				seen[e] = true
				add(entry(entry("route", i)+".bind", n), address)
			}
		}
	}
	for i, l := range all {
		for _, other := range all[:i] {
			if l.port == other.port && overlap(l.host, other.host) {
				c.fault(l.key, "has the port of %s, so that only one of them can be open: want another", other.key)
				break
			}
		}
	}
}

// overlap reports whether one port can be open at only one of two hosts.
func overlap(a, b string) bool {
	if a == b || anyHost(a) || anyHost(b) {
		return true
	}
	x, err1 := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	return err1 == nil && err2 == nil && x.Unmap() == y.Unmap()
}

// anyHost reports whether a host means all addresses of this machine.
func anyHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || host == "*" || err == nil && a.Unmap().IsUnspecified()
}
