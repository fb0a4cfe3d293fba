package conn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// stream is one ZeroMQ socket of a client on a route: what the client may do there, what
// waits for it, and the socket towards the backends.
type stream struct {
	*session // the connection's, if this is its only stream
	conn     *connection
	release  func()        // the routing id
	relayed  zap.Mechanism // that the client speaks with the backend of a relay

	rights    atomic.Pointer[route.Rights]
	queue     *queue.Queue
	socket    route.Socket
	history   route.History // nil if the route keeps nothing
	dedicated bool          // socket serves no other stream
	minor     byte          // of the ZMTP version that the backend of a relay speaks
	permanent *permanent    // nil if there is none
	codec     queue.Codec

	forwarding
	delivering    atomic.Pointer[delivering] // nil before a backend of its own brings something; see deliveries
	subscriptions subscriptions

	// deciding is held while rights or subscriptions change, so that no subscription is
	// granted by rights that were replaced meanwhile.
	deciding sync.Mutex

	mu      sync.Mutex
	channel *zws.Channel // nil before READY
	cause   error        // the first that end was called with

	finished atomic.Pointer[error] // why it ends once the client has what is queued
}

// errTooSlow ends a stream whose queue is full on a route that disconnects then, or that
// leaves too many notifications unread.
var errTooSlow = &zws.CloseError{Code: zws.CodeTooSlow, Reason: "this client reads too slowly", Err: errors.New("high-water mark reached")}

// open opens a stream and attaches it to the backends. The caller starts or closes it.
func (c *connection) open(ctx context.Context, id *session, l *zws.Login) (_ *stream, err error) {
	rules := id.route.Rules()
	rights, err := rules.Rights(ctx, l)
	if err != nil {
		return nil, err
	}
	s := &stream{session: id, conn: c, relayed: l.Relayed}
	s.rights.Store(rights)
	if s.stamp, err = id.route.Stamp(l); err != nil {
		return nil, err
	}
	if s.release, err = id.route.ClaimRoutingID(ctx, l, s.takeOver); err != nil {
		return nil, err
	}
	if err = s.claimQueue(ctx, l); err != nil {
		s.release()
		return nil, err
	}
	s.subscriptions.account = s.openAccount(l)
	o := rules.Queue
	if codec, shared := l.Codec(id.route.Keeps()); shared {
		s.codec, o.Codec = codec, codec
	}
	s.queue = queue.New(c.share(o), s)
	if cause := s.ending(); cause != nil { // another stream took the routing id already
		s.close()
		return nil, cause
	}
	attached, err := id.route.Attach(ctx, &route.Client{
		Login: l, Renewed: c.login.Load, Number: id.number, Queue: s.queue, Codec: s.codec,
		Filter: filter{s}, Receiver: s, Excess: s.excess, End: s.end, Finish: s.finish,
		MayReceive: s.mayReceive, MayAddress: s.mayAddress, Sent: &c.bound.sent, Poller: c.set.o.Poller,
		Positioned: l.History || s.permanent != nil,
	})
	if err != nil {
		s.close()
		return nil, err
	}
	s.mu.Lock()
	s.socket, s.history, s.minor, s.dedicated = attached.Socket, attached.History, attached.Minor, attached.Dedicated
	s.mu.Unlock()
	if err := s.resumeQueue(ctx); err != nil {
		s.close()
		return nil, err
	}
	c.mu.Lock()
	c.add(s) // before READY, see connection.sessions
	c.mu.Unlock()
	return s, nil
}

// errTakenOver ends a stream whose routing id another connection of the same user took.
var errTakenOver = &zws.CloseError{Code: zws.CodeTakenOver, Status: zap.Refused, Reason: "another connection of this user took over this routing id"}

// takeOver ends the stream in favor of a newer one with its routing id. It detaches the stream
// from its backend at once, since a client that is gone without a word would hold it until
// the close frame could not be written. A login that was replaced by a newer one ends as
// that.
func (s *stream) takeOver() {
	if s.conn.set.o.Logins.Revoked(s.conn.login.Load().Reply) {
		s.end(errRevoked)
	} else {
		s.end(errTakenOver)
	}
	s.mu.Lock()
	socket := s.socket
	s.mu.Unlock()
	if socket != nil {
		s.queue.Close() // a backend that waits for room returns
		_ = socket.Close()
		s.release()
	}
}

// ending returns the first cause that end was called with; nil if the stream goes on.
func (s *stream) ending() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// start makes channel the stream's, once READY was sent, and logs message.
func (s *stream) start(channel *zws.Channel, message string) {
	s.mu.Lock()
	s.channel = channel
	cause := s.cause
	s.mu.Unlock()
	channel.Attach(s)
	if cause != nil {
		channel.Close(cause)
	}
	s.started(s.conn.set, message, channel.Login())
}

// stop takes down a stream that was started, once its channel is over.
func (s *stream) stop() {
	left := s.queue.Close()
	s.close()
	dropped := s.queue.Dropped()
	if s.route.SocketType() == zmtp.PULL { // jobs, which nobody else gets
		left += s.deliveries().left
		dropped += uint64(left)
		s.route.Metrics().SlowClient(uint64(left))
	}
	s.session.ended(s.conn.set, s.channel.Login(), s.channel.Cause(), dropped)
}

// close gives back what the stream holds. When it returns, nothing of it runs any more.
func (s *stream) close() {
	s.queue.Close() // first: a backend that waits for room returns
	s.conn.mu.Lock()
	s.conn.remove(s)
	s.conn.mu.Unlock()
	if s.socket != nil {
		_ = s.socket.Close()
	}
	s.subscriptions.account.Close()
	if d := s.delivering.Load(); d != nil {
		d.close()
	}
	s.detachQueue()
	s.release()
}

// end ends the stream with what closeCause makes of cause; with it ends the connection if
// it is a plain one. The first cause counts. It does not block.
func (s *stream) end(cause error) {
	cause = closeCause(cause)
	s.mu.Lock()
	if s.cause == nil {
		s.cause = cause
	}
	cause, channel := s.cause, s.channel
	s.mu.Unlock()
	if channel != nil {
		channel.Close(cause)
	}
}

// ended reports whether the stream is over, or is to end although it was not sent READY yet.
func (s *stream) ended() bool {
	if channel := s.opened(); channel != nil {
		return channel.Cause() != nil
	}
	return s.ending() != nil
}

// finish ends the stream once everything that is queued for the client was written: it is
// the last that the backend of a relay has sent, or the connection is to end. The first cause counts.
func (s *stream) finish(cause error) {
	s.finished.CompareAndSwap(nil, &cause)
	s.Wake()
}

// opened returns the channel; nil before READY.
func (s *stream) opened() *zws.Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channel
}

// Next implements zws.Source. Nothing is written after the login has ended, and nothing that
// was queued after it is (Ended).
func (s *stream) Next(b *zws.Batch) {
	if s.conn.expired() {
		s.end(errExpired)
		return
	}
	if s.permanent != nil && s.permanent.pings {
		s.nextPermanent(b)
	} else {
		s.queue.Next(b)
	}
	if cause := s.finished.Load(); cause != nil && !b.Full() {
		if messages, _ := s.queue.Len(); messages == 0 {
			s.end(*cause) // takes effect after this batch
		}
	}
}

// Ended implements queue.Owner.
func (s *stream) Ended() bool { return s.conn.expired() }

// Wake implements queue.Owner: it starts the writer, which Attach does for what was queued
// before READY. What comes from a socket of the stream's own is written by the goroutine that has
// read it, as far as the client's system takes it.
func (s *stream) Wake() {
	channel := s.opened()
	switch {
	case channel == nil:
	case s.dedicated:
		channel.Announce()
		channel.Flush()
	default:
		channel.Wake()
	}
}

// Announce implements queue.Owner.
func (s *stream) Announce() {
	if channel := s.opened(); channel != nil {
		channel.Announce()
	}
}

// Write implements queue.Owner.
func (s *stream) Write() {
	if channel := s.opened(); channel != nil {
		channel.Flush()
	}
}

// Lost implements queue.Owner.
func (s *stream) Lost(n uint64) {
	s.route.Metrics().SlowClient(n)
	if channel := s.opened(); channel != nil {
		channel.Lost(n)
	}
}

// Missed implements queue.Owner. The backend socket has counted them.
func (s *stream) Missed(n uint64) {
	if channel := s.opened(); channel != nil {
		channel.Lost(n)
	}
}

// Overflow implements queue.Owner.
func (s *stream) Overflow() { s.end(errTooSlow) }

// mayReceive reports whether the client may have a message of a backend.
func (s *stream) mayReceive(m zmtp.Message) bool {
	socket, r := s.route.SocketType(), s.rights.Load()
	return r.Unlimited() || !rights.Filtered(socket) || r.Deliver(route.Topic(socket, m))
}

// mayAddress reports whether the client may send to the peer of a ROUTER that has this routing
// id. It may wait for an authenticator. Without its decision the client may not.
func (s *stream) mayAddress(id []byte) bool {
	r := s.rights.Load()
	return r.Unlimited() || r.Send(s.conn.set.ctx, id) == nil
}

// filter is what a hub checks the messages of a stream with.
type filter struct{ *stream }

// Allows implements fanout.Filter.
func (f filter) Allows(topic []byte) bool { return f.rights.Load().Deliver(topic) }
