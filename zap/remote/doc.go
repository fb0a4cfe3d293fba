// Package remote takes 27/ZAP out of the process: [Client] asks a handler that runs
// elsewhere, in any language; [Server] lets native ZeroMQ servers elsewhere ask ours.
//
// Both speak ZMTP over tcp or ipc. Credentials are in what they send, so an endpoint that
// is neither ipc nor a loopback address wants CURVE.
package remote

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// limits bound one message of either side: a token or a certificate is the largest thing
// in a request, metadata in a reply.
var limits = zmtp.Limits{Frame: 64 << 10, Message: 128 << 10, Frames: 64}

// stays tells whether what is sent to, or received at, the endpoint stays on this machine:
// ipc, a loopback address or the name localhost.
func stays(endpoint string) (bool, error) {
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
