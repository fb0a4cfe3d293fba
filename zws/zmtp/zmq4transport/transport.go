package zmq4transport

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/transport"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// DefaultHighWaterMark is the default of [Options.HighWaterMark].
const DefaultHighWaterMark = 1000

// Options configure a [Transport]: its credentials and its limits.
type Options struct {
	// Client holds the credentials of a socket that dials; nil if the transport only
	// listens.
	Client zmtp.ClientSecurity

	// Mechanism is the mechanism of a socket that listens; empty if the transport only
	// dials.
	Mechanism zap.Mechanism
	// Server authenticates the peers of a socket that listens. It needs Handler and
	// Domain, and for CURVE the key pair; Address and Local are set for every connection.
	Server zmtp.ServerSecurity

	// Limits bound what a peer can send; zero means the defaults of zmtp.
	Limits zmtp.Limits
	// HandshakeTimeout limits connect and handshake together; zero means
	// zmtp.DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration
	// Handshakes is how many handshakes a listener runs at the same time; zero means
	// zmtp.DefaultHandshakes.
	Handshakes int
	// Heartbeat is the interval of PING commands; zero means none. PINGs of the peer are
	// always answered.
	Heartbeat time.Duration
	// WriteTimeout limits every write. A peer that has not taken all of it by then is
	// disconnected; zero means zmtp.DefaultWriteTimeout.
	WriteTimeout time.Duration
	// HighWaterMark is how many messages of a PUB or XPUB are queued for one subscriber.
	// Further ones are dropped, so that a stalled subscriber does not delay the others.
	// Zero means [DefaultHighWaterMark].
	HighWaterMark int
	// Refused, if not nil, is called with every peer whose handshake with a listener
	// failed, and the reason. It is called by several goroutines at the same time and must
	// not block.
	Refused func(peer net.Addr, err error)
}

// Transport is a zmq4 transport with one set of credentials. Any number of sockets can use it
// at the same time. Only zmq4 calls its methods.
//
// The address after the scheme is host:port, /path or, on Linux, @name for an abstract socket.
// An address to dial can end in ?server_key= and the 64 hexadecimal digits of the server's
// CURVE key, which replaces the ServerKey of Options.Client. The key is hexadecimal because
// zmq4 splits endpoints at "://", which a Z85 key can contain.
type Transport struct {
	o Options
}

var _ transport.Transport = (*Transport)(nil)

// New returns a transport for zmq4.RegisterTransport. It fails if o has neither Client nor
// Mechanism.
func New(o Options) (*Transport, error) {
	if o.Client == nil && o.Mechanism == "" {
		return nil, errors.New("zmq4transport: Options without Client and Mechanism can neither dial nor listen")
	}
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = zmtp.DefaultHandshakeTimeout
	}
	if o.HighWaterMark <= 0 {
		o.HighWaterMark = DefaultHighWaterMark
	}
	return &Transport{o}, nil
}

// Register registers a new transport with zmq4 under name, for all sockets of the process. It
// fails if the name is in use. zmq4 cannot unregister a transport.
func Register(name string, o Options) error {
	t, err := New(o)
	if err != nil {
		return err
	}
	return zmq4.RegisterTransport(name, t)
}

// Addr checks the part of an endpoint after "://" and returns it as the address for Dial and
// Listen.
func (t *Transport) Addr(endpoint string) (string, error) {
	address, _, err := splitServerKey(endpoint)
	if err != nil {
		return "", err
	}
	if _, _, err := zmtp.ParseEndpoint(withScheme(address)); err != nil {
		return "", err
	}
	return endpoint, nil
}

// withScheme returns the ZeroMQ endpoint of an address: ipc for a path or an abstract name,
// otherwise tcp.
func withScheme(address string) string {
	if strings.HasPrefix(address, "/") || strings.HasPrefix(address, "@") {
		return "ipc://" + address
	}
	return "tcp://" + address
}

const serverKeyParameter = "?server_key="

// splitServerKey splits the server key, if there is one, off an address.
func splitServerKey(s string) (address string, key *[32]byte, err error) {
	address, digits, found := strings.Cut(s, serverKeyParameter)
	if !found {
		return address, nil, nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(key) {
		return "", nil, fmt.Errorf("zmq4transport: address %q: server_key: want 64 hexadecimal digits", s)
	}
	return address, (*[32]byte)(b), nil
}

// Dial connects and runs the handshake up to the point at which it needs the metadata, which
// zmq4 then writes. By then a CURVE server has proved its key, and a PLAIN or BEARER server has
// accepted the credentials. Options.HandshakeTimeout limits the whole handshake.
func (t *Transport) Dial(ctx context.Context, dialer transport.Dialer, address string) (net.Conn, error) {
	sec, network, address, err := t.target(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.o.HandshakeTimeout)
	nc, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%w: %w", zmtp.ErrUnreachable, err)
	}
	c := newConn(t.o.HighWaterMark, cancel)
	o := t.options()
	o.Properties = c.waitToDial
	c.running.Go(func() {
		defer cancel()
		c.finish(zmtp.Client(ctx, nc, sec, o))
	})
	select {
	case <-c.due:
		return c, nil
	case <-c.done:
		return nil, c.err
	}
}

// target parses an address to dial.
func (t *Transport) target(s string) (sec zmtp.ClientSecurity, network, address string, err error) {
	if sec = t.o.Client; sec == nil {
		return nil, "", "", errors.New("zmq4transport: cannot dial: Options.Client is not set")
	}
	address, key, err := splitServerKey(s)
	if err != nil {
		return nil, "", "", err
	}
	if key != nil {
		curve, ok := sec.(zmtp.Curve)
		if !ok {
			return nil, "", "", fmt.Errorf("zmq4transport: address %q: server_key is for CURVE, the mechanism is %s", s, sec.Name())
		}
		curve.ServerKey = *key
		sec = curve
	}
	network, address, err = zmtp.ParseEndpoint(withScheme(address))
	return sec, network, address, err
}

// Listen returns a listener that accepts only peers that Options.Server has authenticated. It
// is closed when ctx is done.
func (t *Transport) Listen(ctx context.Context, address string) (net.Listener, error) {
	if t.o.Mechanism == "" {
		return nil, errors.New("zmq4transport: cannot listen: Options.Mechanism is not set")
	}
	return listen(ctx, withScheme(address), t.o.Mechanism, t.o.Server, zmtp.ListenOptions{
		Options:    t.options(),
		Handshakes: t.o.Handshakes,
		Refused:    t.o.Refused,
	}, t.o.HighWaterMark)
}

// options returns the options that all connections share.
func (t *Transport) options() zmtp.Options {
	return zmtp.Options{
		Limits:           t.o.Limits,
		HandshakeTimeout: t.o.HandshakeTimeout,
		WriteTimeout:     t.o.WriteTimeout,
		Heartbeat:        t.o.Heartbeat,
	}
}
