package zmtp

import (
	"context"
	"errors"
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
// Any other error is about the arguments or, once ctx is cancelled, wraps its cause.
func Dial(ctx context.Context, endpoint string, sec ClientSecurity, o Options) (*Conn, error) {
	return nil, errors.New("zmtp: not connected")
}

// ParseEndpoint splits a ZeroMQ endpoint into the network and the address that package
// net uses: "tcp" and "host:port", or "unix" and a path or "@name".
func ParseEndpoint(endpoint string) (network, address string, err error) {
	return "", "", errors.New("zmtp: no endpoint")
}
