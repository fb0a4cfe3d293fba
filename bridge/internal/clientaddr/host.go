package clientaddr

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
)

// KnownHost reports whether a Host header names this machine in a way that nobody else can
// make a name point at: an IP address, localhost, a name in .local (multicast DNS), or the
// machine's own name, with its domain or without; or a name in allowed, with a port or
// without. A page that reaches the bridge by another name can be a stranger's whose name was
// made to resolve to this machine after the page was loaded (DNS rebinding): to the browser,
// and to a check of its origin, page and bridge are then one site.
func KnownHost(host string, allowed []string) bool {
	host = normalized(host)
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = normalized(h)
	}
	if slices.ContainsFunc(allowed, func(a string) bool { return name != "" && (normalized(a) == host || normalized(a) == name) }) {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	own := machine()
	short, _, _ := strings.Cut(own, ".")
	return name != "" && (name == "localhost" || name == own || name == short) ||
		len(name) > len(".local") && strings.HasSuffix(name, ".local")
}

// normalized returns a host name in lower case and without the dot of the root.
func normalized(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// machine returns the name of this machine; empty if it has none.
var machine = sync.OnceValue(func() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return normalized(name)
})
