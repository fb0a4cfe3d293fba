// Package remote implements 27/ZAP between processes. A [Client] is a zap.Handler that asks a
// handler in another process, written in any language. A [Server] lets native ZeroMQ servers
// ask a zap.Handler of this process.
//
// Both use ZMTP over tcp or ipc, with a DEALER and a ROUTER socket. Requests contain
// credentials, so every endpoint except ipc and loopback addresses requires CURVE.
package remote

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// limits apply to a message of either side. The largest part is a token or certificate in a
// request, and metadata in a reply.
var limits = zmtp.Limits{Frame: 64 << 10, Message: 128 << 10, Frames: 64}

// isLocal reports whether messages to the endpoint stay on this machine: ipc, a loopback
// address or the name localhost.
func isLocal(endpoint string) (bool, error) {
	network, address, err := zmtp.ParseEndpoint(endpoint)
	if err != nil || network == "unix" {
		return true, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("endpoint %q: %w", endpoint, err)
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback(), nil
}
