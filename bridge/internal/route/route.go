package route

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/bridge/internal/metrics"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/bridge/internal/quota"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Route is one [[route]]. All methods may be called concurrently. The caller of New closes
// it.
type Route struct {
	settings
	metrics  *metrics.Route
	rules    atomic.Pointer[Rules]
	links    atomic.Pointer[links]
	ids      routingIDs
	upstream upstream

	changing sync.Mutex // held while links are replaced
	sources  sources    // guarded by changing
	finders  finders    // what finds endpoints

	subscriptions quota.Counter // of clients

	archive *Archive    // nil if nothing is kept
	keeping atomic.Bool // the route writes to the archive

	users      users // of inbound backends
	failing    failing
	violations violations
}

// Rules are what the clients of a route may be and do. They can change while the route's
// backends stay.
type Rules struct {
	// Options are those of every connection to the route; the connection adds its own.
	Options zws.Options
	// Queue bounds what waits for a stream.
	Queue queue.Options
	// MaxTopic (bytes) and MaxSubscriptions bound what one stream may subscribe to.
	MaxTopic, MaxSubscriptions int
	// MaxSubscriptionBytes limits the topics that all clients are subscribed to. One user can
	// have at most a tenth.
	MaxSubscriptionBytes int64
	// LaterFrames permits messages of an XSUB in which a frame looks like a subscription.
	LaterFrames bool
	// UserQueue gives clients that ask for nothing their user's queue.
	UserQueue bool

	socket  zmtp.SocketType
	relay   bool
	flush   time.Duration // of the hub
	archive archiveOptions
	// anyPeerID: inbound backends can have any routing id.
	anyPeerID bool
	name      string         // as authenticators know the route: its path without the first slash
	policy    *rights.Policy // nil without `allow`: everything is allowed
	patterns  rights.Options
	peers     *rights.Policy // nil without `bind_allow`: inbound backends may do everything
}

// Client is what a route knows of a stream that it attaches.
type Client struct {
	Login *zws.Login
	// Renewed returns the login as it is now: of the same user, with a token that was renewed since.
	// [Socket.Recheck] is called after a change.
	Renewed func() *zws.Login
	Number  uint64       // of the stream; no other stream of any bridge has it
	Queue   *queue.Queue // that a hub fills
	Codec   queue.Codec  // of Queue
	Filter  fanout.Filter
	// Positioned is set if the client, or its permanent queue, keeps positions of the history.
	Positioned bool
	// Receiver takes what a socket without a hub receives.
	Receiver backend.Receiver
	// MayReceive and MayAddress report what the client may do on a shared socket, as
	// [backend.AttachOptions] has them.
	MayReceive func(m zmtp.Message) bool
	MayAddress func(id []byte) bool
	// Poller watches the idle connections of sockets of the client's own; nil on systems without one.
	Poller *zws.Poller
	// Sent bounds what sockets of the client's own hold of what it sends, over all streams of a
	// connection.
	Sent *backend.Budget
	// Excess reports, when the socket is closed, whether the client was subscribed to too
	// much, so that nothing of that is kept subscribed to for a moment.
	Excess func() bool
	// End ends the stream because the route has no backend for it any more. It must not block.
	End func(error)
	// Finish ends the stream once the client has everything that is queued for it. It must
	// not block.
	Finish func(error)
}

// Socket is a stream's side of the route's backends.
type Socket interface {
	// Subscribe subscribes to topics, as [backend.Socket] has it. filtered turns on
	// Client.Filter, for all of the stream's subscriptions and for good.
	Subscribe(ctx context.Context, filtered bool, topics ...[]byte) error
	Unsubscribe(ctx context.Context, topics ...[]byte) error
	// Send, as [backend.Socket] has it.
	Send(ctx context.Context, msgs ...zmtp.Message) error
	// Recheck reports that MayReceive and MayAddress of the Client may answer differently.
	Recheck()
	// Unfinished, as [backend.Socket] has it.
	Unfinished() bool
	// Status returns the state of the connections that are the stream's own.
	Status() []backend.Status
	// Close ends the socket; when it returns nothing of it calls the client any more.
	Close() error
}

// History is a stream's side of what its route keeps.
type History interface {
	// Resume is the first Subscribe of a client that was away: it gets what the route has kept of
	// topics after the position at, then what comes live. With greet the client is told whether
	// anything is missing. The caller wakes the client's writer after it.
	Resume(at []byte, greet, filtered bool, topics ...[]byte) error
	// SubscribeLast is Subscribe for a client that also wants the last values of topics.
	SubscribeLast(filtered bool, topics ...[]byte) error
}

// Attachment is a stream's connection to the backends.
type Attachment struct {
	Socket
	// History is nil if the route keeps nothing.
	History History
	// Minor is the minor version of ZMTP 3 that the backend of a relay speaks.
	Minor byte
	// Dedicated reports that Socket has connections of its own, which serve no other stream.
	Dedicated bool
}

// upstream is how the streams of a route get their sockets.
type upstream interface {
	// attach returns when the route's `ready` rule is met.
	attach(ctx context.Context, c *Client) (*Attachment, error)
	// prepare returns a function that puts links in force for live streams, which are the
	// route's by then. Neither blocks.
	prepare(*links) (apply func(), err error)
	// statuses returns the state of the backends that belong to no single stream; of endpoints
	// for which streams have connections of their own only while no stream is there.
	statuses() []backend.Status
	// close ends what the streams share. Their sockets are closed by then.
	close()
}

// Path returns the path at which clients connect.
func (r *Route) Path() string { return r.path }

// SocketType returns the type of the sockets that the bridge opens for the route.
func (r *Route) SocketType() zmtp.SocketType { return r.socket }

// Relay reports whether clients log in at the backend themselves and messages pass unread.
func (r *Route) Relay() bool { return r.relay }

// Metrics returns the counters of the route.
func (r *Route) Metrics() *metrics.Route { return r.metrics }

// Rules returns the rules in force.
func (r *Route) Rules() *Rules { return r.rules.Load() }

// TakesNULL reports whether clients can log in without credentials.
func (r *Route) TakesNULL() bool { return slices.Contains(r.Rules().Options.Mechanisms, zap.NULL) }

// SetRules replaces the rules. Streams that were attached by others re-evaluate their rights
// afterwards; that is up to the caller.
func (r *Route) SetRules(rules *Rules) {
	r.rules.Store(rules)
	r.subscriptions.SetLimits(rules.tenth(), rules.MaxSubscriptionBytes)
	if r.archive != nil {
		r.archive.update(rules.archive)
	}
}

// tenth is what one user can be subscribed to, and what is kept subscribed to although no
// client wants it any more, in bytes.
func (r *Rules) tenth() int64 { return r.MaxSubscriptionBytes / 10 }

// Subscriptions returns the counter for the subscriptions of clients, whose limits follow the
// rules.
func (r *Route) Subscriptions() *quota.Counter { return &r.subscriptions }

// SubscriptionBytes returns what the subscriptions of all clients count, or on a route to
// which backends connect and subscribe, what theirs do.
func (r *Route) SubscriptionBytes() int64 {
	n := r.subscriptions.Total()
	if u, ok := r.upstream.(*shared); ok {
		n += u.stats().SubscriptionBytes
	}
	return n
}

// Keeps reports whether the route has a history, so that its messages have positions.
func (r *Route) Keeps() bool { return r.archive != nil }

// Status returns the state of the backends that clients share, and of inbound backends.
func (r *Route) Status() []backend.Status { return r.upstream.statuses() }

// Waiting returns how many messages nobody can take at present: jobs and unasked messages that
// no client may have, and messages of clients that wait for a backend or its turn. It counts
// what the clients of the route share.
func (r *Route) Waiting() int {
	if u, ok := r.upstream.(*shared); ok {
		return u.stats().Waiting
	}
	return 0
}

// Unready reports whether no client can be served because a shared connection has no
// backend. Inbound backends may come at any time and do not count.
func (r *Route) Unready() bool {
	u, ok := r.upstream.(interface{ connected() bool })
	return ok && r.links.Load().ready != backend.None && !r.listens && !u.connected()
}

// Backendless reports whether the clients of the route share a connection that has no backend at
// present, inbound ones included.
func (r *Route) Backendless() bool {
	u, ok := r.upstream.(interface{ connected() bool })
	return ok && !u.connected()
}

// Attach connects a stream to the backends. It returns when the route's `ready` rule is met,
// or with an error: a *[backend.Error], a *[zws.CloseError], or that of ctx. The caller
// closes the socket.
func (r *Route) Attach(ctx context.Context, c *Client) (*Attachment, error) {
	r.waitFound(ctx)
	wishes := c.Login.Wishes()
	for _, endpoint := range slices.Concat(wishes.Connect, wishes.Bind) {
		if !r.has(endpoint) {
			return nil, forbidden("connect and bind in the URL name an endpoint that this route does not have")
		}
	}
	return r.upstream.attach(ctx, c)
}

// has reports whether address is literally one of the route's.
func (r *Route) has(address string) bool {
	l := r.links.Load()
	return slices.Contains(l.bind, address) ||
		slices.ContainsFunc(l.connect, func(e Endpoint) bool { return e.Address == address })
}

// Close ends what the streams of the route share. Their sockets are closed by then. The archive
// stays open.
func (r *Route) Close() {
	r.stopFinding()
	r.upstream.close()
}

// forbidden is the refusal of something that the login does not permit.
func forbidden(reason string) error {
	return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: reason}
}
