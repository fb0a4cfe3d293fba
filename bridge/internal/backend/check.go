package backend

import (
	"errors"
	"net"
	"syscall"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Check returns what an operator can check after err ended an attempt to connect; empty if err
// says it itself.
func Check(err error) string {
	_, refused := errors.AsType[*zmtp.RefusedError](err)
	_, mechanism := errors.AsType[*zmtp.MechanismError](err)
	_, name := errors.AsType[*net.DNSError](err)
	switch {
	case refused:
		return "the credentials of the route, and whether the backend admits them"
	case mechanism:
		return "mechanism of the route: it must be that of the backend"
	case errors.Is(err, zmtp.ErrClosedBeforeWelcome):
		return "server_key of the endpoint, and whether the backend admits the key of the route's cert"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "whether the backend runs and is bound to this port, on an address that the bridge reaches"
	case name:
		return "the host name of the endpoint"
	case errors.Is(err, zmtp.ErrUnreachable):
		return "the address of the endpoint, and firewalls on the way"
	case errors.Is(err, zmtp.ErrNotZMTP), errors.Is(err, zmtp.ErrHandshakeTimeout):
		return "the port: what listens there may not be a ZeroMQ socket"
	}
	return ""
}
