package zmtp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Defaults of [Limits], [Options] and [ListenOptions]. Sizes are in bytes.
const (
	DefaultFrame            = 1 << 20
	DefaultMessage          = 1 << 20
	DefaultFrames           = 1000
	DefaultHandshake        = 16 << 10
	DefaultReadBuffer       = 64 << 10
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultHandshakes       = 1000
)

// maxRoutingID is 23/ZMTP's limit: identity = 0*255OCTET.
const maxRoutingID = 255

// Limits bound what a peer can send. A header that announces more than a limit closes the
// connection, before memory is allocated, with an error that wraps [ErrTooLarge].
type Limits struct {
	// Frame is the size in bytes of one frame of a message, or of one command after the
	// handshake; zero means [DefaultFrame].
	Frame int64
	// Message is the total size in bytes of the frames of one message; zero means
	// [DefaultMessage].
	Message int64
	// Frames is the number of frames of one message; zero means [DefaultFrames].
	Frames int
	// Discard is the size in bytes up to which a message beyond Frame, Message or Frames is
	// read and discarded, which ReadFrame reports by a [*DiscardedError], instead of closing
	// the connection; zero means that none is. Not for commands.
	Discard int64
	// Handshake is the size in bytes of one command during the handshake; zero means
	// [DefaultHandshake].
	Handshake int
}

// Options configure a connection. They are the same for both sides.
type Options struct {
	// SocketType is the type of this side. Required, and it must accept that of the peer,
	// see [SocketType.Accepts].
	SocketType SocketType
	// RoutingID is the Identity property of this side, at most 255 bytes. Only DEALER,
	// REQ and ROUTER send it (23/ZMTP, "The Identity Property").
	RoutingID []byte
	// Metadata are further properties to send.
	Metadata zap.Metadata
	// Properties, if not nil, replaces SocketType, RoutingID and Metadata if these are
	// known only during the handshake. It is called when READY or INITIATE is due: a
	// client side has then verified its server, except with NULL, and a server side its
	// client. It returns all properties to send, including Socket-Type. An error ends the
	// handshake.
	Properties func(ctx context.Context) (zap.Metadata, error)
	// Limits bound what the peer can send.
	Limits Limits
	// HandshakeTimeout limits the whole handshake, with [Dial] including name resolution
	// and TCP connect; zero means [DefaultHandshakeTimeout].
	HandshakeTimeout time.Duration
	// WriteTimeout limits every Write as a whole. A peer that has not taken all of it by
	// then is disconnected; zero means [DefaultWriteTimeout].
	WriteTimeout time.Duration
	// Permit, if not nil, is called by [Dial] with every TCP address that it is about to
	// connect to, after name resolution. An error prevents the connect.
	Permit func(netip.AddrPort) error
	// Heartbeat is the interval of PING commands (37/ZMTP); zero means none. A peer that
	// sends nothing for two intervals is disconnected with [ErrSilent]. ZMTP 3.0 peers are
	// not sent any, because they do not know PING.
	Heartbeat time.Duration
	// ZMTP2 accepts peers of ZMTP 2.0 (15/ZMTP, spoken by libzmq 3.2 and what is of its age) too,
	// if the mechanism is NULL: they have none. It cannot be used with Properties.
	ZMTP2 bool
	// ReadBuffer is how large the read buffer may become, in bytes; zero means
	// [DefaultReadBuffer]. Larger frames are read into memory of their own.
	ReadBuffer int
}

// withDefaults returns o with every zero replaced by its default, or an error if o is invalid.
func (o Options) withDefaults() (Options, error) {
	if o.Properties == nil {
		if err := o.SocketType.Validate(); err != nil {
			return o, fmt.Errorf("zmtp: %w", err)
		}
	}
	if len(o.RoutingID) > maxRoutingID {
		return o, fmt.Errorf("zmtp: routing id of %d bytes, at most %d are allowed", len(o.RoutingID), maxRoutingID)
	}
	o.Limits.setDefaults()
	setDefault(&o.ReadBuffer, DefaultReadBuffer)
	setDefault(&o.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	return o, nil
}

func (l *Limits) setDefaults() {
	setDefault(&l.Frame, DefaultFrame)
	setDefault(&l.Message, DefaultMessage)
	setDefault(&l.Frames, DefaultFrames)
	setDefault(&l.Handshake, DefaultHandshake)
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// local returns the metadata that this side sends in READY or INITIATE; nil if that is left
// to Properties.
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

// ListenOptions configure a [Listener].
type ListenOptions struct {
	// Options are those of every accepted connection.
	Options
	// Handshakes is how many handshakes run at the same time; zero means
	// [DefaultHandshakes], or a sixteenth of the file descriptors that the process can have
	// if that is less. If there are more, the listener drops the peer for which it has
	// waited longest, and for at least a second, so that stalled peers never keep others
	// out.
	Handshakes int
	// Refused, if not nil, is called with every peer whose handshake failed, and the
	// reason; also with nil and the error if no peer could be accepted, because there are no free file
	// descriptors. It is called by several goroutines at the same time and must not block.
	Refused func(peer net.Addr, err error)
	// Each, if not nil, is called for every peer that connects. It is given Options and
	// returns those of this one connection, and a function that receives the result of its
	// handshake, and with it the Conn. That function is called by several goroutines at
	// the same time. Accept then returns no connections.
	Each func(Options) (Options, func(*Conn, error))
	// Socket, if not nil, returns a socket that listens already, which another process has opened and
	// handed over; nil if there is none, and the listener opens one. The listener closes it.
	Socket func(network, address string) net.Listener
}
