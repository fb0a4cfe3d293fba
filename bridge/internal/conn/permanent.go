package conn

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// permanent is a stream's hold on a queue of its user that outlives the connection.
type permanent struct {
	held *history.Queue
	log  *history.Log
	// pings: the client knows nothing of queues, so that it acknowledges by answering pings.
	pings bool
	// answered is set once it has answered one.
	answered atomic.Bool

	// Only the writer uses these.
	given history.Position // after the last message that the client was given
	since time.Time        // when the first ping was sent
}

// unansweredTime is how long a client may leave the first ping unanswered before it counts as one
// that never answers, as libzmq without a mechanism.
const unansweredTime = 10 * time.Second

// queueWait is how long a client that did not name its user's queue waits for an older connection
// to leave it, before it is served without.
const queueWait = 500 * time.Millisecond

// errQueueTaken ends a stream whose queue another connection of the same user took, errQueueDeleted
// one whose queue an operator has deleted: it ends as a session that is kicked.
var (
	errQueueTaken   = &zws.CloseError{Code: zws.CodeTakenOver, Status: zap.Refused, Reason: "another connection of this user took over this queue"}
	errQueueDeleted = &zws.CloseError{Code: zws.CodeExpired, Reason: "an administrator has deleted this queue"}
)

// claimQueue gives the stream the queue that its client named, or its user's if the route gives
// that to clients that ask for nothing.
func (s *stream) claimQueue(ctx context.Context, l *zws.Login) error {
	a, user := s.route.Archive(), l.User()
	named := l.Queue != nil
	switch {
	case a == nil, !named && (l.History || !s.route.Rules().UserQueue || user == ""):
		return nil
	case user == "":
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: "a queue belongs to a user: log in with a name"}
	}
	key := history.QueueKey{User: user}
	if named {
		key.Name = *l.Queue
	}
	held, err := a.Queues.Attach(key, named, a.Log.End(), s.queueLost)
	if errors.Is(err, history.ErrQueueInUse) { // perhaps by the page before a reload, which is leaving
		wait, cancel := context.WithTimeout(ctx, queueWait)
		a.Queues.Await(wait, key)
		cancel()
		held, err = a.Queues.Attach(key, named, a.Log.End(), s.queueLost)
	}
	switch {
	case errors.Is(err, history.ErrTooManyQueues):
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: err.Error(), Err: err}
	case errors.Is(err, history.ErrQueueInUse):
		s.conn.set.log("queue in use: served without it", s.attributes(l)...)
		s.route.Metrics().QueueInUse()
		return nil
	}
	if err == nil {
		s.permanent = &permanent{held: held, log: a.Log, pings: !named}
	}
	return err
}

// queueLost ends the stream in favor of a newer one with its queue, or because an operator has
// deleted the queue. It does not block.
func (s *stream) queueLost(err error) {
	cause := errQueueTaken
	switch {
	case errors.Is(err, history.ErrQueueDeleted):
		cause = errQueueDeleted
	case s.conn.set.o.Logins.Revoked(s.conn.login.Load().Reply):
		cause = errRevoked
	default:
		s.route.Metrics().QueueTaken()
	}
	s.end(cause)
}

// resumeQueue subscribes to what the queue is subscribed to, as far as the rights of now allow, and
// has the client given what it has not acknowledged. A queue that is new recovers nothing: perhaps
// there was one before, which was deleted or not stored.
func (s *stream) resumeQueue(ctx context.Context) error {
	if s.permanent == nil {
		return nil
	}
	state := s.permanent.held.State()
	r := &zws.HistoryRequest{Op: zws.HistoryResume}
	if !s.permanent.held.New() {
		r.At, _ = state.Acked.AppendBinary(nil)
	}
	for _, topic := range state.Topics {
		r.Topics = append(r.Topics, []byte(topic))
	}
	if state.Acked.Sequence <= s.permanent.log.End().Sequence { // else it is of a log that is gone
		s.permanent.given = state.Acked
	}
	return s.resume(ctx, r)
}

// remember makes the queue subscribed to what the client is, after a change.
func (s *stream) remember(sub zmtp.Subscription) {
	switch p := s.permanent; {
	case p == nil:
	case sub.Cancel:
		p.held.Unsubscribe(sub.Topic)
	default:
		p.held.Subscribe(sub.Topic)
	}
}

// acknowledge is what a client that knows of queues says to have.
func (s *stream) acknowledge(at []byte) {
	var p history.Position
	if s.permanent != nil && p.UnmarshalBinary(at) == nil {
		s.permanent.held.Ack(p, s.permanent.log.End())
	}
}

// confirmed is called by the reader when the client has answered the ping behind a batch. The token
// is the sequence of the position after it.
func (s *stream) confirmed(token uint64) {
	s.permanent.answered.Store(true)
	end := s.permanent.log.End()
	s.permanent.held.Ack(history.Position{Generation: end.Generation, Sequence: token}, end)
}

// nextPermanent is Next for a client that acknowledges by answering pings.
func (s *stream) nextPermanent(b *zws.Batch) {
	p := s.permanent
	if !p.since.IsZero() && !p.answered.Load() && time.Since(p.since) > unansweredTime {
		// It never answers a ping: what TCP has acknowledged is all that can be known.
		if n, known := s.opened().Unsent(); known && n == 0 {
			p.held.Ack(p.given, p.log.End())
		}
	}
	before := p.given
	given := givenBatch{Batch: b, stream: s}
	s.queue.Next(given)
	var at [history.PositionSize]byte
	given.note(s.queue.Given(at[:0]))
	if p.given != before {
		b.Confirm(p.given.Sequence)
		if p.since.IsZero() {
			p.since = time.Now()
		}
	}
}

// givenBatch notes the positions of replayed messages, and those up to which there is nothing more.
type givenBatch struct {
	*zws.Batch
	stream *stream
}

// Resumed implements queue.Batch. A client that knows nothing of queues is notified of lost messages
// instead, as far as it understands that. How many there are is not known.
func (g givenBatch) Resumed(at []byte, recovered, gap bool) error {
	if !recovered && !g.stream.permanent.held.New() {
		g.stream.queue.Missed(1)
	}
	return g.Batch.Resumed(at, recovered, gap)
}

// Replayed implements queue.Batch.
func (g givenBatch) Replayed(m zmtp.Message, at []byte, t time.Time) error {
	g.note(at)
	return g.Batch.Replayed(m, at, t)
}

// Live implements queue.Batch.
func (g givenBatch) Live(at []byte) error {
	g.note(at)
	return g.Batch.Live(at)
}

func (g givenBatch) note(at []byte) {
	var p history.Position
	if p.UnmarshalBinary(at) == nil && p.Sequence > g.stream.permanent.given.Sequence {
		g.stream.permanent.given = p
	}
}

// detachQueue leaves the queue to the next connection.
func (s *stream) detachQueue() {
	if s.permanent != nil {
		s.permanent.held.Detach()
	}
}
