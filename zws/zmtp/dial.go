package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// Dial connects to a ZeroMQ endpoint and runs the client side of the handshake. Endpoints are
// tcp://host:port with an IPv4 address, an [IPv6] address or a name, ipc:///path, and on
// Linux ipc://@name for an abstract socket.
//
// One deadline, [Options.HandshakeTimeout] or that of ctx if it is earlier, covers name
// resolution, connect and handshake. Dial returns as soon as ctx is done. Errors:
//
//   - [ErrUnreachable]: no connection (unknown name, connection refused, connect timeout)
//   - [ErrHandshakeTimeout]: connected, but the handshake was not complete in time
//   - [*RefusedError]: the server sent ERROR
//   - [ErrClosedBeforeGreeting], [ErrClosedBeforeWelcome], [ErrClosedAfterWelcome],
//     [ErrClosedDuringLogin]: the server closed the connection
//   - [*MechanismError], [*SocketTypeError], [ErrNotZMTP], [ErrVersion]: the two sides do not
//     go together
//   - [ErrProtocol], [ErrTooLarge]: the server sent bytes that are not allowed
//
// Any other error is about the arguments or is the cause of ctx.
func Dial(ctx context.Context, endpoint string, sec ClientSecurity, o Options) (*Conn, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.HandshakeTimeout)
	defer cancel()
	nc, err := dialTransport(ctx, endpoint, o.Permit)
	if err != nil {
		return nil, err
	}
	c, err := Client(ctx, nc, sec, o)
	if err != nil {
		return nil, fmt.Errorf("zmtp: %s: %w", endpoint, err)
	}
	return c, nil
}

// dialTransport connects to the endpoint; permit is [Options.Permit].
func dialTransport(ctx context.Context, endpoint string, permit func(netip.AddrPort) error) (net.Conn, error) {
	network, address, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	if network == "tcp" && (strings.HasPrefix(address, ":") || strings.HasSuffix(address, ":0")) {
		return nil, fmt.Errorf("zmtp: endpoint %q: cannot connect to a wildcard, want a host and a port", endpoint)
	}
	nc, err := dialer(permit).DialContext(ctx, network, address)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		if err == nil {
			nc.Close()
		}
		return nil, fmt.Errorf("zmtp: %s: %w", endpoint, context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("zmtp: %s: %w: %w", endpoint, ErrUnreachable, err)
	}
	return nc, nil
}

// dialer returns a dialer that calls permit with every resolved address right before it
// connects, so that the answer applies to the address that is used.
func dialer(permit func(netip.AddrPort) error) *net.Dialer {
	d := new(net.Dialer)
	if permit != nil {
		d.Control = func(network, address string, _ syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			a, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return permit(a)
		}
	}
	return d
}
