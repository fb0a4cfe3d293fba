package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Dial connects to a ZeroMQ endpoint and completes the handshake:
// tcp://host:port with an IPv4 address, an [IPv6] address or a name, ipc:///path, and on
// Linux ipc://@name for an abstract socket.
//
// One deadline, [Options.HandshakeTimeout] or ctx's if that is earlier, covers name
// resolution, connect and handshake; when ctx is done Dial returns at once. Errors:
//
//   - [ErrUnreachable]: nobody answered (unknown name, connection refused, connect timeout)
//   - [ErrHandshakeTimeout]: connected, but the peer did not complete the handshake
//   - [*RefusedError]: the server answered ERROR
//   - [ErrClosedBeforeWelcome], [ErrClosedDuringLogin]: the server hung up
//   - [*MechanismError], [*SocketTypeError], [ErrNotZMTP], [ErrVersion]: not our kind of peer
//   - [ErrProtocol], [ErrTooLarge]: octets that are not allowed
//
// Any other error is about the arguments or, once ctx is cancelled, is its cause.
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

// dialTransport makes the connection below; permit is that of [Options].
func dialTransport(ctx context.Context, endpoint string, permit func(netip.AddrPort) error) (net.Conn, error) {
	network, address, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	if network == "tcp" && (strings.HasPrefix(address, ":") || strings.HasSuffix(address, ":0")) {
		return nil, fmt.Errorf("zmtp: endpoint %q: names no peer, it can only be listened on", endpoint)
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

// dialer asks permit about every address that a name has, when its turn comes, so that a
// name cannot mean another one between the question and the connect.
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

// ParseEndpoint splits a ZeroMQ endpoint into the network and the address that package
// net uses: "tcp" and "host:port", or "unix" and a path or "@name". The port is a number.
// The host of an endpoint to listen on may be *, its port * or 0.
func ParseEndpoint(endpoint string) (network, address string, err error) {
	scheme, rest, _ := strings.Cut(endpoint, "://")
	switch scheme {
	case "tcp":
		return parseTCP(endpoint, rest)
	case "ipc":
		return parseIPC(endpoint, rest)
	}
	return "", "", fmt.Errorf("zmtp: endpoint %q: want tcp://host:port, ipc:///path or ipc://@name", endpoint)
}

func parseTCP(endpoint, address string) (string, string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "", "", fmt.Errorf("zmtp: endpoint %q: want tcp://host:port, an IPv6 address in brackets", endpoint)
	}
	if host == "*" {
		host = ""
	}
	if port == "*" {
		port = "0"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("zmtp: endpoint %q: port %q is no number from 0 to 65535", endpoint, port)
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

// maxIPCPath is what fits into Linux' sockaddr_un before the zero octet that ends a path;
// other systems have less and say so themselves.
const maxIPCPath = 107

func parseIPC(endpoint, path string) (string, string, error) {
	switch {
	case path == "" || path == "@":
		return "", "", fmt.Errorf("zmtp: endpoint %q: want ipc:///path or ipc://@name", endpoint)
	case path[0] == '@' && runtime.GOOS != "linux":
		return "", "", fmt.Errorf("zmtp: endpoint %q: only Linux has abstract sockets", endpoint)
	case len(path) > maxIPCPath:
		return "", "", fmt.Errorf("zmtp: endpoint %q: path of %d octets, at most %d are allowed", endpoint, len(path), maxIPCPath)
	case strings.ContainsRune(path, 0):
		return "", "", fmt.Errorf("zmtp: endpoint %q: path with a zero octet", endpoint)
	}
	return "unix", path, nil
}
