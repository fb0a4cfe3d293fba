package zws

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Defaults of [Options] and [DialOptions].
const (
	DefaultMaxMessage       = 1 << 20  // bytes
	DefaultMaxFrames        = 1000     // frames of one message
	DefaultMaxHandshake     = 16 << 10 // bytes
	DefaultMaxChannels      = 100      // of one connection of ZWSMUX1.0
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultPingInterval     = 25 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
)

// MaxRoutingID is the longest routing id, in bytes (23/ZMTP, "Identity").
const MaxRoutingID = 255

// Options configure how [Accept] treats one request.
type Options struct {
	// Handler decides on every login. Required.
	Handler zap.Handler
	// Domain is the ZAP domain. Required.
	Domain string
	// Mechanisms are the kinds of credentials that are accepted; any other is refused.
	// NULL is a login without credentials, TLS the client certificate that the TLS server
	// has verified. Required.
	Mechanisms []zap.Mechanism

	// Relay makes this the server of a relay: the login is that of the HTTP request, the
	// mechanism of the subprotocol is between the client and the backend, and a message of
	// the channel is one frame of theirs, the flag byte of 45/ZWS and the body. A frame may
	// have the larger of MaxMessage and MaxHandshake in bytes, and 64 more for the
	// overhead of encryption. Login.Relayed names the mechanism.
	Relay bool

	// Announce is the socket type that READY carries. Required.
	Announce zmtp.SocketType
	// ClientTypes are the socket types that a client may have; another is refused with
	// 4406. Required.
	ClientTypes []zmtp.SocketType
	// Untyped is the socket type of a client that names none. Required.
	Untyped zmtp.SocketType
	// RoutingID is the server's own, 0 to 255 bytes.
	RoutingID []byte
	// CurvePublic and CurveSecret are the server's long-term key pair. Required if
	// Mechanisms contains CURVE.
	CurvePublic, CurveSecret [32]byte

	// Address is the client's IP address for the ZAP request. Empty means that of the
	// TCP connection.
	Address string
	// Secure states that nobody between client and server can listen: the connection came
	// by TLS, here or at a trusted proxy.
	Secure bool
	// PlaintextAllowed accepts PLAIN and BEARER although the connection is not Secure.
	// Without either they are refused with 4403.
	PlaintextAllowed bool
	// Origins are the origins, such as "https://example.org", whose pages may connect
	// beside those of the same origin. "https://*.example.org" admits the pages of all hosts
	// below a domain and "*" every page, but cookies, HTTP Basic and client certificates
	// then still count only from the same origin and from those that are listed by name,
	// without a wildcard. See MatchOrigin. A request without Origin does not come from a page.
	Origins []string
	// QueryToken accepts ?access_token= as a BEARER login of dialects without a mechanism.
	QueryToken bool

	// MaxMessage limits one message, all its frames together, in bytes. 0 means
	// DefaultMaxMessage. A longer one ends the connection with 1009.
	MaxMessage int64
	// MaxFrames limits the frames of one message. 0 means DefaultMaxFrames.
	MaxFrames int
	// MaxHandshake limits one command of the handshake or of a renewal, in bytes. 0 means
	// DefaultMaxHandshake.
	MaxHandshake int64

	// Multiplex accepts clients of ZWSMUX1.0, whose channels Conn.NextChannel returns;
	// otherwise they are refused with 4406.
	Multiplex bool
	// MaxChannels limits the channels that a client has open on one connection. 0 means
	// DefaultMaxChannels. One more is refused with 4429. So is one while the caller has
	// twice as many that it has not yet closed or rejected, so that a client that opens
	// and closes without pause does not use more than that.
	MaxChannels int

	// HandshakeTimeout limits how long the server waits for the client during the
	// handshake, all waits together. The time of the ZAP handler, and the time during which
	// the login is pending, do not count. 0 means DefaultHandshakeTimeout. A client that is
	// slower is refused with 4408.
	HandshakeTimeout time.Duration
	// PingInterval is the time between WebSocket pings. The connection ends with 4408 after
	// two intervals without an answer or any other sign of life; on bare ZWS2.0, where libzmq
	// answers no pings, only if the client has answered one before. 0 means
	// DefaultPingInterval; negative means no pings.
	//
	// At each interval, DefaultPingInterval if there are no pings, the connection of a client
	// that has begun a message and not ended it ends with 4408: a message may take 30 seconds,
	// and one more for each 16 KiB that has arrived.
	PingInterval time.Duration
	// WriteTimeout limits one write, after which the connection ends with 4508; it may be
	// exceeded by an eighth. 0 means DefaultWriteTimeout.
	WriteTimeout time.Duration

	// Attempt, if not nil, is filled in with what the client claims about itself, by the time
	// that Accept returns; for the log of refusals.
	Attempt *Attempt

	// Poller, if not nil, waits for idle clients in place of a goroutine for each; see
	// Channel.Serve.
	Poller *Poller
}

// keptOptions are what a connection needs of its Options after the handshake.
type keptOptions struct {
	handler                  zap.Handler
	domain                   string
	maxMessage, maxHandshake int64
	maxChannels              int
	writeTimeout             time.Duration
	confidential             bool // PLAIN and BEARER are accepted
}

func (o *Options) kept() *keptOptions {
	return &keptOptions{o.Handler, o.Domain, o.MaxMessage, o.MaxHandshake, o.MaxChannels, o.WriteTimeout, o.confidential()}
}

// confidential reports whether mechanisms that do not hide a secret themselves are accepted.
func (o *Options) confidential() bool { return o.Secure || o.PlaintextAllowed }

// withDefaults checks that o is complete and returns a copy in which zero values are
// replaced by the defaults.
func (o Options) withDefaults() (*Options, error) {
	switch {
	case o.Handler == nil:
		return nil, errors.New("zws: Options.Handler is required")
	case o.Domain == "":
		return nil, errors.New("zws: Options.Domain is required")
	case len(o.Mechanisms) == 0:
		return nil, errors.New("zws: Options.Mechanisms is required: list NULL for logins without credentials")
	case !o.Announce.Valid():
		return nil, fmt.Errorf("zws: Options.Announce: unknown socket type %q", o.Announce)
	case !o.Untyped.Valid():
		return nil, fmt.Errorf("zws: Options.Untyped: unknown socket type %q", o.Untyped)
	case len(o.ClientTypes) == 0:
		return nil, errors.New("zws: Options.ClientTypes is required")
	case len(o.RoutingID) > MaxRoutingID:
		return nil, fmt.Errorf("zws: Options.RoutingID has %d bytes: at most %d are allowed", len(o.RoutingID), MaxRoutingID)
	}
	o.MaxMessage = cmp.Or(o.MaxMessage, DefaultMaxMessage)
	o.MaxFrames = cmp.Or(o.MaxFrames, DefaultMaxFrames)
	o.MaxHandshake = cmp.Or(o.MaxHandshake, DefaultMaxHandshake)
	o.MaxChannels = cmp.Or(o.MaxChannels, DefaultMaxChannels)
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, DefaultHandshakeTimeout)
	o.PingInterval = cmp.Or(o.PingInterval, DefaultPingInterval)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, DefaultWriteTimeout)
	return &o, nil
}
