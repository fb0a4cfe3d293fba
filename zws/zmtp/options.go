package zmtp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Defaults of [Limits], [Options] and [ListenOptions].
const (
	DefaultFrame            = 1 << 20 // octets
	DefaultMessage          = 1 << 20 // octets
	DefaultFrames           = 1000
	DefaultHandshake        = 16 << 10 // octets
	DefaultReadBuffer       = 64 << 10 // octets
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultHandshakes       = 1000
)

// maxRoutingID is 23/ZMTP's limit: identity = 0*255OCTET.
const maxRoutingID = 255

// Limits bound what a peer may send. Each is checked against what a header announces,
// before memory is taken; a peer that goes beyond one is disconnected with an error that
// wraps [ErrTooLarge].
type Limits struct {
	// Frame is the size of one frame of a message, or of one command after the
	// handshake, in octets; zero means [DefaultFrame].
	Frame int64
	// Message is the size of all frames of one message together, in octets; zero means
	// [DefaultMessage].
	Message int64
	// Frames is how many frames one message may have; zero means [DefaultFrames].
	Frames int
	// Handshake is the size of one command during the handshake, in octets; zero means
	// [DefaultHandshake].
	Handshake int
}

// Options are what both sides of a connection may choose.
type Options struct {
	// SocketType is what we are. Required; the peer must be one that it [SocketType.Accepts].
	SocketType SocketType
	// RoutingID is what we call ourselves (the Identity property), at most 255 octets;
	// sent by DEALER, REQ and ROUTER only (23/ZMTP, "The Identity Property").
	RoutingID []byte
	// Metadata are further properties that we tell the peer.
	Metadata zap.Metadata
	// Properties, if not nil, stands in for SocketType, RoutingID and Metadata where these
	// are known only once the handshake runs. It is asked when they are due, a client side
	// by then knowing its server and a server side its client, and returns everything that
	// we tell the peer, Socket-Type included. Its error ends the handshake.
	Properties func(ctx context.Context) (zap.Metadata, error)
	// Limits bound what the peer may send.
	Limits Limits
	// HandshakeTimeout bounds the whole handshake from the first octet on, with [Dial]
	// name resolution and TCP connect included; zero means [DefaultHandshakeTimeout].
	HandshakeTimeout time.Duration
	// WriteTimeout bounds every Write as a whole: a peer that has not taken all of it by
	// then is disconnected; zero means [DefaultWriteTimeout].
	WriteTimeout time.Duration
	// Permit, if not nil, is asked by [Dial] about the address that it is about to connect
	// to over tcp, once a name is resolved; an error keeps it from doing so.
	Permit func(netip.AddrPort) error
	// Heartbeat is the interval of our PING commands (37/ZMTP); zero means none, and a
	// ZMTP 3.0 peer, which knows no PING, is sent none. A peer that is pinged and from
	// which nothing arrives for two intervals is disconnected with [ErrSilent].
	Heartbeat time.Duration
	// ReadBuffer is how large the read buffer may grow, in octets; zero means
	// [DefaultReadBuffer]. Frames that do not fit are read into memory of their own.
	ReadBuffer int
}

// withDefaults returns o with every zero replaced, or says what cannot be.
func (o Options) withDefaults() (Options, error) {
	if !o.SocketType.Valid() && o.Properties == nil {
		return o, errSocketType(o.SocketType)
	}
	if len(o.RoutingID) > maxRoutingID {
		return o, fmt.Errorf("zmtp: routing id of %d octets: at most %d are allowed", len(o.RoutingID), maxRoutingID)
	}
	setDefault(&o.Limits.Frame, DefaultFrame)
	setDefault(&o.Limits.Message, DefaultMessage)
	setDefault(&o.Limits.Frames, DefaultFrames)
	setDefault(&o.Limits.Handshake, DefaultHandshake)
	setDefault(&o.ReadBuffer, DefaultReadBuffer)
	setDefault(&o.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	return o, nil
}

func errSocketType(t SocketType) error {
	return fmt.Errorf("zmtp: socket type %q is none of the eleven of 23/ZMTP", t)
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// local is the metadata that our side sends in READY or INITIATE.
func (o *Options) local() zap.Metadata {
	if o.Properties != nil {
		return nil
	}
	m := zap.Metadata{{Name: "Socket-Type", Value: string(o.SocketType)}}
	switch o.SocketType {
	case DEALER, REQ, ROUTER:
		m = append(m, zap.Property{Name: "Identity", Value: string(o.RoutingID)})
	}
	return append(m, o.Metadata...)
}

// ListenOptions are what a [Listener] may choose.
type ListenOptions struct {
	// Options are those of every accepted connection.
	Options
	// Handshakes is how many handshakes may run at the same time; zero means
	// [DefaultHandshakes]. When there are more, the peer that has kept us waiting longest,
	// and for a second at least, is given up, so that stalled peers never lock others out.
	Handshakes int
	// Refused, if not nil, is told of every peer that did not get through its handshake
	// and why. It is called from several goroutines at the same time and must not block.
	Refused func(peer net.Addr, err error)
	// Each, if not nil, is given Options for every peer that connects and returns those of
	// this one connection, and a function that takes how its handshake ended. Accept then
	// returns nothing: what ended well belongs to that function, which may be called from
	// several goroutines at the same time.
	Each func(Options) (Options, func(*Conn, error))
}
