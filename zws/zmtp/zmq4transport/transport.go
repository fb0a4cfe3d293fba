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

// DefaultHighWaterMark is how many messages wait for one subscriber of a PUB or XPUB.
const DefaultHighWaterMark = 1000

// Options are the credentials of a [Transport], and its limits.
type Options struct {
	// Client is what a socket that dials presents. Nil: this transport cannot dial.
	Client zmtp.ClientSecurity

	// Mechanism is what a socket that listens speaks. Empty: this transport cannot listen.
	Mechanism zap.Mechanism
	// Server decides on the peers of a socket that listens. Handler and Domain are
	// required there, with CURVE the key pair too; Address and Local are filled in.
	Server zmtp.ServerSecurity

	// Limits bound what a peer may send; zero fields have zmtp's defaults.
	Limits zmtp.Limits
	// HandshakeTimeout bounds connect and handshake; zero means
	// zmtp.DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration
	// Handshakes is how many handshakes a listener runs at the same time; zero means
	// zmtp.DefaultHandshakes.
	Handshakes int
	// Heartbeat is the interval of our PINGs; zero means none. PINGs of the peer are
	// always answered.
	Heartbeat time.Duration
	// WriteTimeout is how long a peer may take for what is written at a time before it is
	// disconnected; zero means zmtp.DefaultWriteTimeout.
	WriteTimeout time.Duration
	// HighWaterMark is how many messages of a PUB or XPUB wait for one subscriber; those
	// beyond are dropped, so that a stalled subscriber does not hold up the others. Zero
	// means [DefaultHighWaterMark].
	HighWaterMark int
	// Refused, if not nil, is told of every peer that a listener did not let in, and why.
	// It is called from several goroutines at the same time and must not block.
	Refused func(peer net.Addr, err error)
}

// Transport is a zmq4 transport with one set of credentials. Its methods are zmq4's to
// call. It may be used by any number of sockets at the same time.
//
// The address behind the scheme is host:port, /path or, on Linux, @name for an abstract
// socket. One that is dialled may end in ?server_key= and the 64 hexadecimal digits of the
// server's CURVE key, which then stands in for that of Options.Client. It is hexadecimal
// because zmq4 cuts endpoints at "://", which a Z85 key may contain.
type Transport struct {
	o Options
}

var _ transport.Transport = (*Transport)(nil)

// New returns a transport, to be given to zmq4.RegisterTransport. It fails if o can
// neither dial nor listen.
func New(o Options) (*Transport, error) {
	if o.Client == nil && o.Mechanism == "" {
		return nil, errors.New("zmq4transport: options with neither Client nor Mechanism: nothing to dial or listen with")
	}
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = zmtp.DefaultHandshakeTimeout
	}
	if o.HighWaterMark <= 0 {
		o.HighWaterMark = DefaultHighWaterMark
	}
	return &Transport{o}, nil
}

// Register makes a transport known to zmq4 under name, for all sockets of this process.
// It fails if there is one of that name already: zmq4 has no way to take one back.
func Register(name string, o Options) error {
	t, err := New(o)
	if err != nil {
		return err
	}
	return zmq4.RegisterTransport(name, t)
}

// Addr checks the part of an endpoint behind "://". It is what Dial and Listen take.
func (t *Transport) Addr(endpoint string) (string, error) {
	address, _, err := splitServerKey(endpoint)
	if err != nil {
		return "", err
	}
	if _, _, err := zmtp.ParseEndpoint(scheme(address)); err != nil {
		return "", err
	}
	return endpoint, nil
}

// scheme makes a ZeroMQ endpoint of an address: ipc for a path or an abstract name.
func scheme(address string) string {
	if strings.HasPrefix(address, "/") || strings.HasPrefix(address, "@") {
		return "ipc://" + address
	}
	return "tcp://" + address
}

const serverKeyParameter = "?server_key="

// splitServerKey cuts the server's key, if there is one, from an address.
func splitServerKey(s string) (address string, key *[32]byte, err error) {
	address, digits, found := strings.Cut(s, serverKeyParameter)
	if !found {
		return address, nil, nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(key) {
		return "", nil, fmt.Errorf("zmq4transport: address %q: server_key wants 64 hexadecimal digits", s)
	}
	return address, (*[32]byte)(b), nil
}

// Dial connects and runs the handshake up to where our metadata is due, which zmq4 then
// delivers. By then a CURVE server has proved its key, and a PLAIN or BEARER server has
// accepted ours. The handshake ends, at the latest, with Options.HandshakeTimeout.
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
	o.Properties = c.askProperties
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

// target is what an address that is dialled means.
func (t *Transport) target(s string) (sec zmtp.ClientSecurity, network, address string, err error) {
	if sec = t.o.Client; sec == nil {
		return nil, "", "", errors.New("zmq4transport: this transport can only listen: its options have no Client")
	}
	address, key, err := splitServerKey(s)
	if err != nil {
		return nil, "", "", err
	}
	if key != nil {
		curve, ok := sec.(zmtp.Curve)
		if !ok {
			return nil, "", "", fmt.Errorf("zmq4transport: address %q: server_key with mechanism %s, only CURVE has one", s, sec.Name())
		}
		curve.ServerKey = *key
		sec = curve
	}
	network, address, err = zmtp.ParseEndpoint(scheme(address))
	return sec, network, address, err
}

// Listen opens a listener that hands zmq4 only peers that Options.Server has let in. It is
// closed when ctx is done.
func (t *Transport) Listen(ctx context.Context, address string) (net.Listener, error) {
	if t.o.Mechanism == "" {
		return nil, errors.New("zmq4transport: this transport can only dial: its options have no Mechanism")
	}
	return listen(ctx, scheme(address), t.o.Mechanism, t.o.Server, zmtp.ListenOptions{
		Options:    t.options(),
		Handshakes: t.o.Handshakes,
		Refused:    t.o.Refused,
	}, t.o.HighWaterMark)
}

// options are those of every connection.
func (t *Transport) options() zmtp.Options {
	return zmtp.Options{
		Limits:           t.o.Limits,
		HandshakeTimeout: t.o.HandshakeTimeout,
		WriteTimeout:     t.o.WriteTimeout,
		Heartbeat:        t.o.Heartbeat,
	}
}
