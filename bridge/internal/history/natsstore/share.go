package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Share is one bridge's part in the history of a route. All methods may be called concurrently.
type Share struct {
	o      Options
	conn   *nats.Conn
	js     jetstream.JetStream
	cancel context.CancelFunc
	ended  sync.WaitGroup
	ctx    context.Context
	stands context.Context // ends with ctx and with Resign
	resign context.CancelFunc

	resigned chan struct{} // closed once this bridge does not lead any more, for good

	stream, subject, bucket, key            string
	queueStream, queueSubject, aliveSubject string
	forgetSubject, operateSubject           string
	queueJS                                 jetstream.JetStream

	term    atomic.Pointer[term] // nil while this bridge does not lead
	applied atomic.Uint64        // sequence, in the stream, of the last message that was delivered
	renew   chan struct{}        // wakes elect: the lease has to be written
	retry   chan struct{}        // wakes follow: the connection has changed

	mu      sync.Mutex
	bounds  Bounds
	changed chan struct{} // closed at the next change of what follows
	lease   lease         // as it was last seen
	seen    time.Time     // when that was, or when the connection was made, whichever is later
	acted   time.Time     // when the lease was last renewed, or an attempt was made to take it
	states  json.RawMessage
	loaded  bool  // everything was delivered that the stream had when it was opened
	follows error // why the stream is not read at present
	fault   error // the sum of it: what Log.State has
	elects  error // why the lease cannot be watched at present
	differs error // Differs

	operator json.RawMessage // Operator
	waiters  int

	complaints map[string]time.Time // when texts were logged

	queuesKnown bool
	opened      time.Time
	heard       map[string]time.Time // when other bridges were, by name

	large   map[history.QueueKey]bool // queues that are too large to be stored; only Save uses it
	cursors cursors
}

// Open joins the bridges that share the history of a route. It connects in the background, and
// without a connection the copy does not change; Log.State says so. The error is that of
// options that cannot be used. The caller closes it.
func Open(o Options) (*Share, error) {
	if o.Lease <= 0 {
		o.Lease = defaultLease
	}
	o.Replicas = max(o.Replicas, 1)
	route := routeName(o.Route)
	s := &Share{
		o: o, bounds: o.Bounds, changed: make(chan struct{}), seen: time.Now(),
		stream: o.Name + "_log_" + route, subject: o.Name + ".log." + route,
		bucket: o.Name + "_leases", key: route,
		queueStream: o.Name + "_queues_" + route, queueSubject: o.Name + ".queues." + route + ".",
		aliveSubject: o.Name + ".alive." + route, forgetSubject: o.Name + ".forget." + route,
		operateSubject: o.Name + ".operate." + route,
		opened:         time.Now(), heard: make(map[string]time.Time), complaints: make(map[string]time.Time),
		large: make(map[history.QueueKey]bool),
		renew: make(chan struct{}, 1), retry: make(chan struct{}, 1), resigned: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.stands, s.resign = context.WithCancel(s.ctx)
	conn, err := o.connect(s.connectionChanged, s.complain)
	if err != nil {
		return nil, fmt.Errorf("history.nats: %w", err)
	}
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	if s.js, err = jetstream.New(s.conn, jetstream.WithPublishAsyncMaxPending(16*window),
		jetstream.WithPublishAsyncTimeout(o.Lease), jetstream.WithDefaultTimeout(o.Lease)); err != nil {
		s.conn.Close()
		return nil, err
	}
	if s.queueJS, err = jetstream.New(s.conn, jetstream.WithPublishAsyncMaxPending(2*saveStep),
		jetstream.WithPublishAsyncTimeout(o.Lease)); err != nil {
		s.conn.Close()
		return nil, err
	}
	s.judge()
	s.ended.Go(s.follow)
	s.ended.Go(s.elect)
	return s, nil
}

// connectionChanged is called when a connection is made or lost.
func (s *Share) connectionChanged() {
	s.mu.Lock()
	if s.conn != nil && s.conn.IsConnected() {
		s.seen = time.Now() // a leader that was away as well has as long to be heard of
	}
	s.mu.Unlock()
	wake(s.retry)
	wake(s.renew)
	if t := s.term.Load(); t != nil {
		wake(t.wake)
	}
	s.judge()
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// notify wakes those who wait for a change. Lock held on entry.
func (s *Share) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed returns a channel that is closed when Leader, Leading or Loaded may have changed.
func (s *Share) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Leading reports whether this bridge reads the backends and writes.
func (s *Share) Leading() bool { return s.term.Load() != nil }

// Leader is the bridge that writes, as it was heard of last.
type Leader struct {
	Bridge string
	States json.RawMessage // as its SetStates has it
	Since  time.Time
}

// Leader returns the bridge that writes. ok is false if there is none, none was heard of for the
// time of the lease, or this bridge has not read the stream yet.
func (s *Share) Leader() (l Leader, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok = s.loaded && s.queuesKnown && s.lease.Leads && time.Since(s.seen) < s.o.Lease
	return Leader{s.lease.Holder, s.lease.States, s.lease.Since}, ok
}

// judge says in the log of this bridge what keeps messages from it at present.
func (s *Share) judge() {
	s.mu.Lock()
	var err error
	t := s.term.Load()
	switch {
	case s.conn == nil || !s.conn.IsConnected():
		err = s.unreachable()
	case s.follows != nil:
		err = s.follows
	case !s.loaded:
		err = ErrLoading
	case t == nil && (!s.lease.Leads || time.Since(s.seen) >= s.o.Lease):
		if err = errNoLeader; s.elects != nil {
			err = fmt.Errorf("%w: %w", errNoLeader, s.elects)
		}
	}
	missed := uint64(0)
	if t != nil {
		missed = t.missed.Swap(0)
		if err == nil {
			err = t.failure()
		}
	}
	changed := fmt.Sprint(err) != fmt.Sprint(s.fault)
	// The log of the route has the first error. Without another reason, no leader is not worth a line: bridges start.
	still := changed && s.fault != nil && err != nil && !errors.Is(err, ErrLoading) && err != errNoLeader && err != errConnection
	if s.fault = err; changed {
		s.notify()
	}
	s.mu.Unlock()
	if still {
		s.complain(err)
	}
	s.o.Log.SetState(err, missed)
}

// unreachable returns why NATS is not connected: the error of the last attempt, if that is known. Lock
// held on entry.
func (s *Share) unreachable() error {
	if s.conn != nil {
		if err := s.conn.LastError(); err != nil { // also a refused login
			return fmt.Errorf("%w: %w", errConnection, err)
		}
	}
	return errConnection
}

// complaintInterval is how long the same text is not logged again.
const complaintInterval = time.Minute

// complain logs why something does not work at present. Attempts are many, their reasons few.
func (s *Share) complain(err error) {
	now := time.Now()
	s.mu.Lock()
	maps.DeleteFunc(s.complaints, func(_ string, at time.Time) bool { return now.Sub(at) >= complaintInterval })
	_, known := s.complaints[err.Error()]
	if !known {
		s.complaints[err.Error()] = now
	}
	s.mu.Unlock()
	if !known {
		s.o.Logger.Warn("history: NATS", "error", err.Error())
	}
}

// SetStates tells the other bridges, while this one leads, the states of its backends.
func (s *Share) SetStates(states json.RawMessage) {
	s.mu.Lock()
	same := string(states) == string(s.states)
	s.states = states
	s.mu.Unlock()
	if !same && s.Leading() {
		wake(s.renew)
	}
}

// SetBounds changes what is kept. A leader changes the stream.
func (s *Share) SetBounds(b Bounds) {
	s.mu.Lock()
	s.bounds = b
	s.mu.Unlock()
	s.compareTopics()
	if t := s.term.Load(); t != nil {
		t.cover(b.Topics)
		wake(s.renew)
	}
}

func (s *Share) currentBounds() Bounds {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bounds
}

// Append keeps m, which is copied, if this bridge leads. Flush follows.
func (s *Share) Append(m zmtp.Message) {
	if t := s.term.Load(); t != nil {
		t.append(m)
	}
}

// Flush writes what was appended, in the background.
func (s *Share) Flush() {
	if t := s.term.Load(); t != nil {
		wake(t.wake)
	}
}

// Gap records, if this bridge leads, that messages may be missing.
func (s *Share) Gap(reason string) {
	if t := s.term.Load(); t != nil {
		t.gap(reason)
	}
}

// Skipped records, if this bridge leads, that a message of topic was too large.
func (s *Share) Skipped(topic []byte) {
	if t := s.term.Load(); t != nil {
		t.skipped(topic)
	}
}

// Forget has the bridge that leads record that topic is forgotten, as history.Log.Forget does. It
// reports whether anything of it is kept here. The error says that no bridge has answered.
func (s *Share) Forget(topic []byte) (known bool, err error) {
	if known = s.o.Log.Knows(topic); known {
		if _, err = s.conn.Request(s.forgetSubject, topic, s.o.Lease); err != nil {
			err = fmt.Errorf("%w: %w", errNoLeader, err)
		}
	}
	return known, err
}

// Resign has this bridge never lead again. A leader writes what it has, for a moment at most, and gives
// the lease back, before Resign returns. It goes on to deliver what others write.
func (s *Share) Resign() {
	if t := s.term.Load(); t != nil && s.conn.IsConnected() {
		t.drain(time.Second)
	}
	s.resign()
	<-s.resigned
}

// Close leaves the others. A leader writes what it has, for a moment at most, and gives the lease
// back.
func (s *Share) Close() error {
	if t := s.term.Load(); t != nil && s.conn.IsConnected() {
		t.drain(time.Second)
	}
	s.cancel()
	s.ended.Wait()
	s.conn.Close()
	return nil
}
