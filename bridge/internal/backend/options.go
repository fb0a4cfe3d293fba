package backend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Socket is one client's side of a ZeroMQ socket.
type Socket interface {
	// Subscribe subscribes a SUB or XSUB to topics, also at backends that connect later.
	// Subscriptions are a set (29/PUBSUB): one that exists already changes nothing. topics
	// are not kept. Errors: [ErrCannotSubscribe] from other socket types, and those of Send.
	Subscribe(ctx context.Context, topics ...[]byte) error

	// Unsubscribe ends subscriptions; one that does not exist changes nothing. Order holds
	// among the calls of Subscribe, Unsubscribe and Send of one goroutine.
	Unsubscribe(ctx context.Context, topics ...[]byte) error

	// Send gives messages to the socket, which owns their octets from then on. They keep
	// their order towards each peer, and are written together where they go to the same
	// one: a caller that has several at hand sends them in one call.
	//
	// While no peer can take them, Send queues up to the high-water mark and then waits
	// for room or the end of ctx; then it returns ctx's error and the messages that were
	// not queued yet are lost to the caller. ROUTER, REP, PUB, XPUB and XSUB do not wait
	// but drop, as 28/REQREP and 29/PUBSUB want it.
	//
	// Other errors: those that wrap [zmtp.ErrProtocol] are the client's fault (a type
	// that cannot send, a request without delimiter, a second request before the reply);
	// [ErrClosed] after Close; an [*Error] once every endpoint has refused us.
	//
	// Any number of goroutines may call it; order holds for the calls of one.
	Send(ctx context.Context, msgs ...zmtp.Message) error

	// Status returns the state of each connection that is this client's alone, in the order
	// of the endpoints. It is empty for a client of a [Shared], which reports its own.
	Status() []Status

	// Close ends the socket. When it returns, no call to the Receiver is running or will
	// come. It waits for Receiver calls that are under way and, up to [Options.Linger],
	// for messages that are not written yet. It must not be called from a Receiver or
	// another callback. Closing again does nothing.
	Close() error
}

// Receiver takes what a socket receives. Its methods are never called concurrently for
// one session, but from different goroutines.
type Receiver interface {
	// Message takes one whole message. It and its frames are valid during the call only.
	//
	// A call that waits, or Flush, is backpressure: the peer is not read meanwhile. On a
	// [Shared] socket it holds up every other session that the same peer serves, so there it
	// should not wait; a PULL may, and a PUB, whose sessions wait for themselves. Whoever
	// closes the session first makes a waiting call return.
	//
	// An error is final: this session receives nothing any more.
	Message(m zmtp.Message) error
	// Flush is called after one or more calls of Message when nothing more is at hand:
	// now is the time to write what was collected.
	Flush()
}

// Endpoint is one backend.
type Endpoint struct {
	// Address is tcp://host:port or ipc://path, as [zmtp.Dial] takes it.
	Address string
	// Security is how we log in there. Required: grasslands is [zmtp.Null].
	Security zmtp.ClientSecurity
	// Permit, if not nil, is asked about the IP address that a connect goes to, as
	// [zmtp.Options] has it.
	Permit func(netip.AddrPort) error
}

// Ready is when [Dial] is content.
type Ready int

// The rules of a route's `ready`.
const (
	Any  Ready = iota // one endpoint has completed its handshake
	All               // each of them has
	None              // at once; the handshakes go on in the background
)

// Defaults of [Options], [DialOptions] and [ListenOptions].
const (
	DefaultHighWaterMark    = 1000
	DefaultHighWaterBytes   = 4 << 20 // octets
	DefaultConnectTimeout   = 5 * time.Second
	DefaultBackoff          = 100 * time.Millisecond
	DefaultMaxBackoff       = 10 * time.Second
	DefaultLinger           = time.Second
	DefaultMaxSubscriptions = 100_000
	DefaultMaxTopic         = 1 << 10 // octets
	DefaultMaxPeers         = 10_000
)

// noWriteTimeout stands for none: the zero value of zmtp means a default there.
const noWriteTimeout = 10 * 365 * 24 * time.Hour

// Options are what all sockets may choose.
type Options struct {
	// SocketType is what we are. Required.
	SocketType zmtp.SocketType
	// RoutingID is what we call ourselves towards the peers (DEALER, REQ, ROUTER).
	RoutingID []byte
	// Metadata are further properties that we tell the peers.
	Metadata zap.Metadata
	// Limits bound what a peer may send; zero means zmtp's defaults.
	Limits zmtp.Limits
	// Heartbeat is the interval of PING commands towards peers that understand them;
	// zero means none. A peer that is silent for two intervals is taken for lost. A
	// worker that does not read because it is busy is silent too: libzmq at its
	// high-water mark answers no PING.
	Heartbeat time.Duration
	// WriteTimeout is how long a peer may take nothing before it is taken for lost; zero
	// means for ever, since a slow worker is no dead one.
	WriteTimeout time.Duration
	// HighWaterMark and HighWaterBytes bound what waits unwritten: for each peer, and
	// once more for the socket while no peer can take anything. Zero means the defaults.
	// One message always finds room in an empty queue, however long it is.
	HighWaterMark  int
	HighWaterBytes int64
	// MaxSubscriptions and MaxTopic (octets) bound the subscriptions of one peer of a
	// PUB or XPUB; beyond them it is disconnected. Zero means the defaults.
	MaxSubscriptions int
	MaxTopic         int
	// Linger is how long Close waits for unwritten messages; zero means
	// [DefaultLinger], negative not at all.
	Linger time.Duration
	// Event, if not nil, is told of every change of an endpoint or peer. It is called
	// from several goroutines and must not block or call the socket.
	Event func(Status)
	// Dropped, if not nil, is told of every message that goes nowhere. It is called with a
	// lock held, from several goroutines, and must only count.
	Dropped func(Drop)
}

// DialOptions are the Options of a socket that connects.
type DialOptions struct {
	Options
	// Endpoints are the backends, at least one; exactly one for PAIR.
	Endpoints []Endpoint
	// Ready is when Dial returns; the zero value is Any.
	Ready Ready
	// ConnectTimeout bounds name resolution, connect and handshake of one attempt; zero
	// means [DefaultConnectTimeout].
	ConnectTimeout time.Duration
	// Backoff is the wait before the first reconnect, doubled with every attempt up to
	// MaxBackoff; a connection that has lasted MaxBackoff starts again at Backoff. Each
	// wait is shortened by up to a half, at random. Zero means the defaults.
	Backoff, MaxBackoff time.Duration
	// Rand is where the randomness of the waits comes from, in [0,1); nil means
	// math/rand. It is called by several goroutines.
	Rand func() float64
	// Lost, if not nil, is called once when the last endpoint has refused us after Dial
	// was content, with the [*Error] of that last one; with Ready None perhaps before
	// Dial returns. It must not block or call the socket.
	Lost func(err error)

	// dial stands in for zmtp.Dial in tests of time.
	dial func(ctx context.Context, endpoint string, sec zmtp.ClientSecurity, o zmtp.Options) (*zmtp.Conn, error)
}

// ListenOptions are the Options of a socket that peers dial in to.
type ListenOptions struct {
	Options
	// Addresses are the endpoints to listen on, at least one.
	Addresses []string
	// Mechanism is the one that peers have to speak, and Security what decides on them:
	// its Domain is the route's bind_domain.
	Mechanism zap.Mechanism
	Security  zmtp.ServerSecurity
	// HandshakeTimeout bounds a peer's handshake; zero means zmtp's default.
	HandshakeTimeout time.Duration
	// MaxPeers is how many peers may be connected at the same time; one more is
	// disconnected. Zero means [DefaultMaxPeers].
	MaxPeers int
	// Refused, if not nil, is told of every peer that did not get in and why. It is
	// called from several goroutines and must not block.
	Refused func(address string, err error)
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

func (o *Options) setDefaults() error {
	if !o.SocketType.Valid() {
		return fmt.Errorf("backend: socket type %q is none of the eleven", o.SocketType)
	}
	setDefault(&o.HighWaterMark, DefaultHighWaterMark)
	setDefault(&o.HighWaterBytes, DefaultHighWaterBytes)
	setDefault(&o.MaxSubscriptions, DefaultMaxSubscriptions)
	setDefault(&o.MaxTopic, DefaultMaxTopic)
	setDefault(&o.Linger, DefaultLinger)
	setDefault(&o.WriteTimeout, noWriteTimeout)
	return nil
}

func (o *DialOptions) setDefaults() error {
	if err := o.Options.setDefaults(); err != nil {
		return err
	}
	if len(o.Endpoints) == 0 {
		return fmt.Errorf("backend: a %s that connects needs an endpoint", o.SocketType)
	}
	if o.SocketType == zmtp.PAIR && len(o.Endpoints) > 1 {
		return fmt.Errorf("backend: a PAIR has one peer, not %d", len(o.Endpoints))
	}
	for i, e := range o.Endpoints {
		if e.Security == nil {
			return fmt.Errorf("backend: endpoint %d names no mechanism", i+1)
		}
	}
	setDefault(&o.ConnectTimeout, DefaultConnectTimeout)
	setDefault(&o.Backoff, DefaultBackoff)
	setDefault(&o.MaxBackoff, DefaultMaxBackoff)
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.dial == nil {
		o.dial = zmtp.Dial
	}
	return nil
}

func (o *ListenOptions) setDefaults() error {
	if err := o.Options.setDefaults(); err != nil {
		return err
	}
	if o.SocketType == zmtp.REP || o.SocketType == zmtp.PAIR {
		return fmt.Errorf("backend: a %s cannot be shared by several clients", o.SocketType)
	}
	if len(o.Addresses) == 0 {
		return fmt.Errorf("backend: a %s that listens needs an address", o.SocketType)
	}
	setDefault(&o.MaxPeers, DefaultMaxPeers)
	return nil
}

// connection is what every ZMTP connection of the socket is made with.
func (o *Options) connection(handshake time.Duration) zmtp.Options {
	return zmtp.Options{
		SocketType:       o.SocketType,
		RoutingID:        o.RoutingID,
		Metadata:         o.Metadata,
		Limits:           o.Limits,
		HandshakeTimeout: handshake,
		WriteTimeout:     o.WriteTimeout,
		Heartbeat:        o.Heartbeat,
	}
}
