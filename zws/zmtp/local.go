package zmtp

import (
	"net"
	"net/netip"
	"strings"
)

// IsLocal reports whether what goes over an endpoint stays on this machine: anything but tcp,
// and tcp to a loopback address or localhost.
func IsLocal(endpoint string) bool {
	address, ok := strings.CutPrefix(endpoint, "tcp://")
	if !ok {
		return true
	}
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
