package backend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/zwsbridge/zwsbridge/internal/poll"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Socket is one stream's side of a ZeroMQ socket. Any number of goroutines may call its
// methods. Order holds among the calls of Subscribe, Unsubscribe and Send by one goroutine.
type Socket interface {
	// Subscribe subscribes a SUB or XSUB to topics, also at backends that connect later.
	// Subscriptions are a set (29/PUBSUB): one that exists already changes nothing. topics
	// are not kept. Errors: [ErrCannotSubscribe] for other socket types, and those of Send.
	Subscribe(ctx context.Context, topics ...[]byte) error

	// Unsubscribe ends subscriptions; one that does not exist changes nothing. Errors are
	// those of Subscribe.
	Unsubscribe(ctx context.Context, topics ...[]byte) error

	// Send gives messages to the socket, which owns their bytes from then on. They keep their
	// order towards each peer, and those to the same peer are written together, so a caller
	// that has several sends them in one call. What it sends is never parsed as a
	// subscription.
	//
	// While no peer can take them, Send queues up to the high-water mark and then waits for
	// room or the end of ctx; then it returns ctx's error, and the messages that were not
	// queued are lost. ROUTER, REP, PUB, XPUB and XSUB do not wait but drop, as 28/REQREP and
	// 29/PUBSUB require.
	//
	// Other errors: those that wrap [zmtp.ErrProtocol] are the client's fault (a type that
	// cannot send, a request without delimiter, a reply before the request);
	// [ErrClosed] after Close.
	Send(ctx context.Context, msgs ...zmtp.Message) error

	// Status returns the state of each connection that is this stream's alone, in the order
	// of the endpoints. It is empty for a stream of a [Shared], which has a Status of its own.
	Status() []Status

	// Recheck reports that the functions of the stream's [AttachOptions] may answer
	// differently from now on. Messages that wait are offered again. It changes nothing on
	// sockets that are not a stream of a [Shared].
	Recheck()

	// Unfinished reports whether something of the client is to finish, as far as that is known: requests
	// that are not answered, messages that are not written.
	Unfinished() bool

	// Close ends the socket. After its return no call to the Receiver is running or will
	// come. It waits for Receiver calls that are under way and, up to [Options.Linger], for
	// messages that are not written yet. It must not be called from a Receiver or another
	// callback. It may be called more than once.
	Close() error
}

// Receiver takes what a socket receives. Its methods are called from different goroutines,
// but not concurrently for one stream.
type Receiver interface {
	// Message takes one whole message. It and its frames are valid during the call only.
	//
	// While Message or Flush waits, the peer is not read: that is backpressure. On a [Shared]
	// socket it delays all other streams that the same peer serves, so there it should not
	// wait, except on a PULL or PUB, where streams wait separately. A call that waits must
	// return when the stream is closed.
	//
	// An error is final: the stream receives nothing any more.
	Message(m zmtp.Message) error
	// Discarded is called instead of Message for a message that was larger than Options.Limits
	// allow and is lost. m is its frames before that, valid during the call only, and not
	// empty; of a message whose first frame is too large m is the beginning of that frame.
	Discarded(m zmtp.Message)
	// Flush is called after one or more calls of Message or Discarded when nothing more is available, so
	// that what was collected can be written.
	Flush()
}

// AttachOptions are what a stream of a [Shared] may do. Nil functions permit everything.
// They may be called from any goroutine, without a lock, and may wait for a network.
type AttachOptions struct {
	// MayReceive reports whether the stream's client may have a message that is routed to one
	// of several streams (PULL). m is valid during the call only.
	MayReceive func(m zmtp.Message) bool
	// MayAddress reports whether the stream's client may send to the peer with that routing
	// id (ROUTER): a peer's unasked messages go to all streams that may.
	MayAddress func(id []byte) bool
}

// PeerRights are what an inbound peer may do. Its methods are called from several goroutines,
// also with a lock held, and must not block.
type PeerRights interface {
	// Publish reports whether the peer may send messages with this topic to clients.
	Publish(topic []byte) bool
	// Subscribe reports whether the peer may subscribe to this topic.
	Subscribe(topic []byte) bool
}

// Endpoint is one backend.
type Endpoint struct {
	// Address is tcp://host:port or ipc://path, as [zmtp.Dial] takes it.
	Address string
	// Security is the bridge's login there. Required; [zmtp.Null] for no authentication.
	Security zmtp.ClientSecurity
	// Renew, if not nil, returns the login for each attempt after the first, for credentials
	// that are kept in files. An error is that of the attempt. It must not call the socket.
	Renew func() (zmtp.ClientSecurity, error)
	// ClientLogin: Security is the login of a client, and Renew returns what the client has renewed it
	// to. A list in which it is another one does not end the connection.
	ClientLogin bool
	// Permit, if not nil, decides on the IP address of each connect, as in [zmtp.Options].
	Permit func(netip.AddrPort) error
	// Source is where the endpoint comes from, for its Status.
	Source Source
}

// Ready is when [Dial] returns a socket.
type Ready int

// The rules of a route's `ready`.
const (
	Any  Ready = iota // when one endpoint has completed its handshake
	All               // when all have
	None              // at once; the handshakes go on in the background
)

// Defaults of [Options], [DialOptions] and [ListenOptions].
const (
	DefaultHighWaterMark    = 1000
	DefaultHighWaterBytes   = 4 << 20
	DefaultConnectTimeout   = 5 * time.Second
	DefaultBackoff          = 100 * time.Millisecond
	DefaultMaxBackoff       = 10 * time.Second
	DefaultLinger           = time.Second
	DefaultDrain            = 5 * time.Second
	DefaultMaxSubscriptions = 100_000
	DefaultMaxTopic         = 1 << 10 // bytes
	DefaultMaxPeers         = 10_000

	DefaultMaxSubscriptionBytes = 16 << 20
)

// noWriteTimeout is in effect none. Zero would mean zmtp's default.
const noWriteTimeout = 10 * 365 * 24 * time.Hour

// Options are common to all sockets.
type Options struct {
	// SocketType is that of the socket. Required.
	SocketType zmtp.SocketType
	// RoutingID is the socket's towards its peers (DEALER, REQ, ROUTER).
	RoutingID []byte
	// Metadata are further properties for the peers.
	Metadata zap.Metadata
	// Limits limit what a peer may send; zero means zmtp's defaults. Larger messages, up to
	// Limits.Discard, are discarded and counted (TooLarge); beyond, the peer is disconnected.
	Limits zmtp.Limits
	// Heartbeat is the interval of PING commands to peers that understand them; zero means
	// none. A peer that is silent for two intervals is taken for lost, even if it is a worker
	// that does not read because it is busy: libzmq at its high-water mark does not answer a
	// PING.
	Heartbeat time.Duration
	// WriteTimeout is how long a peer may read nothing before it is taken for lost. Zero
	// means no limit, since a slow worker is not a lost one.
	WriteTimeout time.Duration
	// HighWaterMark and HighWaterBytes limit what waits to be written: for each peer, and
	// separately for the socket while no peer can take anything. Zero means the defaults. An
	// empty queue takes one message of any size.
	HighWaterMark  int
	HighWaterBytes int64
	// Budget, if not nil, limits what waits to be written for several sockets together.
	Budget *Budget
	// MaxSubscriptions and MaxTopic (bytes) limit the subscriptions of one peer of a PUB or
	// XPUB. A peer that exceeds them is disconnected. Zero means the defaults.
	MaxSubscriptions int
	MaxTopic         int
	// ZMTP2 is as in [zmtp.Options]: peers of ZMTP 2.0 are accepted where the mechanism is NULL.
	ZMTP2 bool
	// Linger is how long Close waits for unwritten messages. Zero means [DefaultLinger], a
	// negative value not to wait.
	Linger time.Duration
	// Poller, if not nil, watches idle connections of sockets of [Dial], so that they cost no goroutine.
	Poller *poll.Poller
	// Drain is how long what was sent to an endpoint may take to be answered once the endpoint
	// was removed. Zero means [DefaultDrain].
	Drain time.Duration
	// Event, if not nil, is called with every change of an endpoint or peer, from several
	// goroutines. It must not block or call the socket.
	Event func(Status)
	// Dropped, if not nil, is called for every message that is dropped, from several
	// goroutines and with a lock held. It must only count.
	Dropped func(Drop)
}

// DialOptions are the options of a socket that connects.
type DialOptions struct {
	Options
	// Endpoints are the backends at first, see [Dedicated.SetEndpoints]; at most one for PAIR.
	Endpoints []Endpoint
	// Ready is when Dial returns; the zero value is Any.
	Ready Ready
	// ConnectTimeout limits one attempt: name resolution, connect and handshake. Zero means
	// [DefaultConnectTimeout].
	ConnectTimeout time.Duration
	// Backoff is the wait before the first reconnect. It doubles with every attempt up to
	// MaxBackoff, and starts again at Backoff after a connection that has lasted a second.
	// Each wait is shortened by up to a half, at random. Zero means the defaults. An endpoint
	// that has refused is tried again after a second or Backoff if that is longer, then after
	// waits that double up to a minute.
	Backoff, MaxBackoff time.Duration
	// Rand returns the random numbers for the waits, in [0,1). nil means math/rand. It is
	// called from several goroutines.
	Rand func() float64
	// MayReceive (REP of one stream), if not nil, reports whether the client may have a request.
	// Others are dropped, so that the client's answers stay in order. m is valid during the call
	// only.
	MayReceive func(m zmtp.Message) bool
	// HonorError gives up an endpoint that has refused the login with ERROR: credentials of a
	// client are not used again, since some backends lock an account after failed logins.
	HonorError bool
	// Group, if not nil, are the sockets that connect to the same backends.
	Group *Group

	// dial replaces zmtp.Dial in tests of time.
	dial func(ctx context.Context, endpoint string, sec zmtp.ClientSecurity, o zmtp.Options) (*zmtp.Conn, error)
}

// ListenOptions are the options of a socket that peers connect to.
type ListenOptions struct {
	Options
	// Addresses are the endpoints to listen on, at least one.
	Addresses []string
	// Inherit, if not nil, returns the listener of another socket that has an address open, whose
	// socket of the system is taken over; nil if there is none.
	Inherit func(address string) *zmtp.Listener
	// Socket, if not nil, returns a socket that another process has handed over, as
	// [zmtp.ListenOptions] has it.
	Socket func(network, address string) net.Listener
	// Mechanism is what peers have to speak, and Security authenticates them: its Domain is
	// the route's bind_domain.
	Mechanism zap.Mechanism
	Security  zmtp.ServerSecurity
	// HandshakeTimeout limits a peer's handshake; zero means zmtp's default.
	HandshakeTimeout time.Duration
	// MaxPeers limits the peers that are connected at the same time; further ones are
	// disconnected. Zero means [DefaultMaxPeers].
	MaxPeers int
	// Envelope (ROUTER) puts the bridge's own envelope in front of what a peer gets, so that
	// many clients can ask it at a time. Without it the peer sees no additional frame and
	// serves one client at a time.
	Envelope bool
	// TurnTimeout (ROUTER without Envelope) is how long a peer may be silent in a client's
	// turn before the turn ends. Zero means [DefaultConnectTimeout].
	TurnTimeout time.Duration
	// OwnsID (ROUTER), if not nil, reports whether a peer may claim a routing id. reply is its
	// ZAP reply; nil for NULL without a handler. A peer that claims an id it does not own is
	// refused. It must not block.
	OwnsID func(reply *zap.Reply, id string) bool
	// Rights, if not nil, returns what a peer may do, from its ZAP reply (nil for NULL without
	// a handler). A nil result permits everything.
	Rights func(reply *zap.Reply) PeerRights
	// MaxSubscriptionBytes (PUB, XPUB) limits the subscriptions of all peers together: their
	// topics and 64 bytes for each. One user, or the userless peers of one address, may have
	// at most a tenth. Zero means [DefaultMaxSubscriptionBytes].
	MaxSubscriptionBytes int64
	// Forbidden, if not nil, is called for every violation of Rights, from several goroutines.
	// topic is valid during the call only. It must not block or call the socket.
	Forbidden func(s Status, topic []byte)
	// Refused, if not nil, is called for every peer that is not let in, with the reason, from
	// several goroutines. It must not block.
	Refused func(address string, err error)
	// Failed, if not nil, is called when no peer could be accepted, because there are no free file
	// descriptors, from several goroutines. Accepting goes on. It must not block.
	Failed func(err error)
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

func (o *Options) setDefaults() error {
	if err := o.SocketType.Validate(); err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	setDefault(&o.HighWaterMark, DefaultHighWaterMark)
	setDefault(&o.HighWaterBytes, DefaultHighWaterBytes)
	setDefault(&o.MaxSubscriptions, DefaultMaxSubscriptions)
	setDefault(&o.MaxTopic, DefaultMaxTopic)
	setDefault(&o.Linger, DefaultLinger)
	setDefault(&o.Drain, DefaultDrain)
	setDefault(&o.WriteTimeout, noWriteTimeout)
	return nil
}

func (o *DialOptions) setDefaults() error {
	if err := o.Options.setDefaults(); err != nil {
		return err
	}
	if err := checkEndpoints(o.SocketType, o.Endpoints); err != nil {
		return err
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
		return fmt.Errorf("backend: a %s socket cannot be shared by several clients", o.SocketType)
	}
	if len(o.Addresses) == 0 {
		return fmt.Errorf("backend: no addresses: a %s socket that listens needs at least one", o.SocketType)
	}
	setDefault(&o.MaxPeers, DefaultMaxPeers)
	setDefault(&o.TurnTimeout, DefaultConnectTimeout)
	setDefault(&o.MaxSubscriptionBytes, DefaultMaxSubscriptionBytes)
	return nil
}

// connection returns the options of each ZMTP connection of the socket.
func (o *Options) connection(handshake time.Duration) zmtp.Options {
	return zmtp.Options{
		SocketType:       o.SocketType,
		RoutingID:        o.RoutingID,
		Metadata:         o.Metadata,
		Limits:           o.Limits,
		HandshakeTimeout: handshake,
		WriteTimeout:     o.WriteTimeout,
		Heartbeat:        o.Heartbeat,
		ZMTP2:            o.ZMTP2,
	}
}
