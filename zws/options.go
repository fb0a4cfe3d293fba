package zws

import (
	"errors"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Defaults of [Options] and [DialOptions].
const (
	DefaultMaxMessage       = 1 << 20  // octets
	DefaultMaxFrames        = 1000     // frames of one message
	DefaultMaxHandshake     = 16 << 10 // octets
	DefaultMaxChannels      = 100      // of one session of ZWSMUX1.0
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultPingInterval     = 25 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
)

// MaxRoutingID is how many octets a routing id may have (23/ZMTP, "Identity").
const MaxRoutingID = 255

// Options says how [Accept] treats one request. A copy of it is kept for as long as the
// session lives.
type Options struct {
	// Handler decides on every login. Required.
	Handler zap.Handler
	// Domain is the ZAP domain. Required.
	Domain string
	// Mechanisms are the kinds of credentials that may log in here; any other is refused.
	// NULL stands for a login without credentials, TLS for the client certificate that
	// the TLS server has verified. Required.
	Mechanisms []zap.Mechanism

	// Relay tells that this is one: the login is what the HTTP request carries, the mechanism
	// of the subprotocol is for who is behind, and a message of the channel is one frame of
	// that: the flag octet of 45/ZWS and the body. Each may have MaxMessage octets, or
	// MaxHandshake if that is more, and 64 beyond it for what sealing adds. Login.Relayed
	// names the mechanism.
	Relay bool

	// Announce is the socket type that we tell in READY. Required.
	Announce zmtp.SocketType
	// ClientTypes are the socket types that the client may have; another is refused with
	// 4406. Required.
	ClientTypes []zmtp.SocketType
	// Untyped is what a client is taken for that names no socket type. Required.
	Untyped zmtp.SocketType
	// RoutingID is what we call ourselves, 0 to 255 octets.
	RoutingID []byte
	// CurvePublic and CurveSecret are our long-term key pair. Needed if Mechanisms holds
	// CURVE.
	CurvePublic, CurveSecret [32]byte

	// Address is the client's IP address for the ZAP request. Empty means that of the
	// TCP connection.
	Address string
	// Secure tells that nobody between the client and us can listen: the connection
	// came by TLS, here or at a trusted proxy.
	Secure bool
	// PlaintextAllowed takes PLAIN and BEARER although the connection is not Secure.
	// Without either they are refused with 4403.
	PlaintextAllowed bool
	// Origins are the origins, as "https://example.org", whose pages may connect beside
	// those of the same origin. "*" admits every page, but lets a cookie, HTTP Basic and a
	// client certificate count from the same origin and from those listed by name only. A
	// request without Origin does not come from a page.
	Origins []string
	// QueryToken takes ?access_token= as a BEARER login of dialects without a mechanism.
	QueryToken bool

	// MaxMessage limits one message, all its frames together, in octets. 0 means
	// DefaultMaxMessage. A longer one ends the session with 1009.
	MaxMessage int64
	// MaxFrames limits the frames of one message. 0 means DefaultMaxFrames.
	MaxFrames int
	// MaxHandshake limits one command of the handshake, in octets; also that of a
	// renewal. 0 means DefaultMaxHandshake.
	MaxHandshake int64

	// Multiplex takes clients of ZWSMUX1.0, whose channels the caller gets from
	// Conn.NextChannel; otherwise they are refused with 4406.
	Multiplex bool
	// MaxChannels limits the channels that are open on one connection. 0 means
	// DefaultMaxChannels. One more is refused with 4429, and so is one where the caller has
	// twice as many that it has not yet closed or rejected: a client that opens and closes
	// without pause costs no more than that.
	MaxChannels int

	// HandshakeTimeout is how long we wait for the client during the handshake, all
	// waits together; the time of the ZAP handler, and while the login is pending, does not
	// count. 0 means
	// DefaultHandshakeTimeout. A client that is later is refused with 4408.
	HandshakeTimeout time.Duration
	// PingInterval is the time between WebSocket pings. A peer that has answered one is
	// held to it: the session ends after two intervals without an answer or any other
	// sign of life. 0 means DefaultPingInterval, less than 0 no pings.
	PingInterval time.Duration
	// WriteTimeout is how long one write may take before the session ends with 4508; an
	// eighth of it may pass in addition. 0 means DefaultWriteTimeout.
	WriteTimeout time.Duration

	// Poller, if not nil, waits for what the client sends while it is idle, so that it
	// costs no goroutine; see Channel.Serve.
	Poller *Poller
}

// withDefaults returns o with every zero number replaced, or what is missing in it.
func (o Options) withDefaults() (*Options, error) {
	switch {
	case o.Handler == nil:
		return nil, errors.New("zws: Options without a ZAP handler")
	case o.Domain == "":
		return nil, errors.New("zws: Options without a ZAP domain")
	case len(o.Mechanisms) == 0:
		return nil, errors.New("zws: Options without a mechanism; NULL must be named")
	case !o.Announce.Valid():
		return nil, fmt.Errorf("zws: Options.Announce is %q, which is no socket type", o.Announce)
	case !o.Untyped.Valid():
		return nil, fmt.Errorf("zws: Options.Untyped is %q, which is no socket type", o.Untyped)
	case len(o.ClientTypes) == 0:
		return nil, errors.New("zws: Options without ClientTypes")
	case len(o.RoutingID) > MaxRoutingID:
		return nil, fmt.Errorf("zws: Options.RoutingID of %d octets, allowed are %d", len(o.RoutingID), MaxRoutingID)
	}
	setDefault(&o.MaxMessage, DefaultMaxMessage)
	setDefault(&o.MaxFrames, DefaultMaxFrames)
	setDefault(&o.MaxHandshake, DefaultMaxHandshake)
	setDefault(&o.MaxChannels, DefaultMaxChannels)
	setDefault(&o.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&o.PingInterval, DefaultPingInterval)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	return &o, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
