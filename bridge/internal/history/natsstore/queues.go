package natsstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// The permanent queues of a route are in a stream of their own, of which each queue is a subject
// that has its newest state. What clients acknowledge changes all the time, and is in the subjects of
// cursors.go. Every bridge reads all of them.

// savedQueue is a message of the stream.
type savedQueue struct {
	User   []byte    `json:"user"`
	Name   []byte    `json:"name"`
	Bridge string    `json:"bridge"` // that has stored it
	Claim  uint64    `json:"claim"`
	Used   bool      `json:"used,omitempty"`
	Topics [][]byte  `json:"topics,omitempty"`
	Acked  []byte    `json:"acked,omitempty"` // nil: the queue was deleted
	Seen   time.Time `json:"seen,omitzero"`
}

// Queues returns the store of the route's queues. What bridges store is given to merge once
// FollowQueues is called.
func (s *Share) Queues() history.QueueStore { return queueStore{s} }

type queueStore struct{ s *Share }

// Load implements history.QueueStore. What is stored comes later.
func (q queueStore) Load(func(history.QueueKey, history.QueueState)) error { return nil }

// Close implements history.QueueStore.
func (q queueStore) Close() error { return nil }

// saveStep is how many queues are on their way to NATS at a time.
const saveStep = 1000

// Save implements history.QueueStore.
func (q queueStore) Save(changes map[history.QueueKey]*history.QueueState) error {
	s := q.s
	if !s.conn.IsConnected() {
		return errConnection
	}
	var futures []jetstream.PubAckFuture
	for key, state := range changes {
		if state == nil || !state.Used {
			s.cursors.drop(key)
		}
		saved := savedQueue{User: []byte(key.User), Name: []byte(key.Name), Bridge: s.o.Bridge}
		if state == nil {
			saved.Claim = uint64(time.Now().UnixNano())
		} else {
			saved.Claim, saved.Used, saved.Seen = state.Claim, state.Used, state.Seen
			saved.Acked, _ = state.Acked.AppendBinary(nil)
			for _, t := range state.Topics {
				saved.Topics = append(saved.Topics, []byte(t))
			}
		}
		value, err := json.Marshal(saved)
		if err != nil {
			return err
		}
		if s.tooLarge(key, len(value)) { // to try again would keep the others from being stored
			continue
		}
		hash := sha256.Sum256(append(append(saved.User[:len(saved.User):len(saved.User)], 0), saved.Name...))
		future, err := s.queueJS.PublishMsgAsync(&nats.Msg{Subject: s.queueSubject + hex.EncodeToString(hash[:12]), Data: value})
		if err != nil {
			return err
		}
		if futures, err = s.sent(futures, future); err != nil {
			return err
		}
	}
	return s.await(futures)
}

// sent adds a message to those that are on their way, and waits for them if they are many.
func (s *Share) sent(futures []jetstream.PubAckFuture, f jetstream.PubAckFuture) ([]jetstream.PubAckFuture, error) {
	if futures = append(futures, f); len(futures) < saveStep {
		return futures, nil
	}
	return futures[:0], s.await(futures)
}

// tooLarge reports whether the state of a queue is larger than what a message of NATS can have. It logs
// that once, until the queue fits again.
func (s *Share) tooLarge(key history.QueueKey, size int) bool {
	most := s.maxMessage()
	was, is := s.large[key], size > most
	switch attributes := []any{"user", key.User, "queue", key.Name, "bytes", size, "most", most}; {
	case is && !was:
		s.large[key] = true
		s.o.Logger.Error("history: a queue has too many topics for a message of NATS: the other bridges do not know what has changed", attributes...)
	case was && !is:
		delete(s.large, key)
		s.o.Logger.Info("history: a queue fits into a message of NATS again", attributes...)
	}
	return is
}

// await waits until all are acknowledged, and returns the first error.
func (s *Share) await(futures []jetstream.PubAckFuture) error {
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-time.After(s.o.Lease):
			return jetstream.ErrAsyncPublishTimeout
		}
	}
	return nil
}

// FollowQueues gives queues, until the share is closed, what bridges have stored of them.
func (s *Share) FollowQueues(queues *history.Queues) {
	s.ended.Go(func() {
		for s.ctx.Err() == nil {
			if err := s.readQueues(queues); err != nil && s.ctx.Err() == nil && !errors.Is(err, errConnection) {
				s.complain(fmt.Errorf("queues: %w", err))
			}
			select {
			case <-s.ctx.Done():
			case <-time.After(followRetry):
			}
		}
	})
	s.ended.Go(s.presence)
}

func (s *Share) readQueues(queues *history.Queues) error {
	if !s.conn.IsConnected() {
		return errConnection
	}
	config := jetstream.StreamConfig{
		Name: s.queueStream, Subjects: []string{s.queueSubject + "*"}, Description: "queues of zwsbridge route " + s.o.Route,
		Storage: jetstream.FileStorage, Replicas: s.o.Replicas, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld,
	}
	if age := s.currentBounds().QueueAge; age > 0 {
		config.MaxAge = 2*age + time.Hour
	}
	stream, err := s.js.Stream(s.ctx, s.queueStream)
	if err == nil {
		if err := checkSubjects(stream.CachedInfo().Config, config.Subjects[0]); err != nil {
			return err
		}
	}
	stream, err = s.js.CreateOrUpdateStream(s.ctx, config)
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.queueStream, explain(err))
	}
	if stream.CachedInfo().State.Msgs == 0 {
		s.queuesRead()
	}
	stored := replacing{queues, &s.cursors, s.o.Bridge}
	return s.consume(s.queueStream, 1, nil, func() {}, func(m jetstream.Msg) error {
		if err := mergeStored(m.Data(), stored); err != nil {
			s.o.Logger.Error("history: a queue cannot be read", "stream", s.queueStream, "error", err.Error())
		}
		if meta, err := m.Metadata(); err == nil && meta.NumPending == 0 {
			s.queuesRead()
		}
		return nil
	})
}

// merger takes what bridges have stored: history.Queues.
type merger interface {
	Merge(key history.QueueKey, state *history.QueueState, deleted uint64, bridge string) (gone bool)
	MergeCursor(key history.QueueKey, acked history.Position, bridge string)
}

// mergeStored gives queues a message of the stream.
func mergeStored(p []byte, queues merger) error {
	if len(p) > 0 && p[0] == cursorVersion {
		return mergeCursors(p, queues)
	}
	return mergeQueue(p, queues)
}

func mergeQueue(text []byte, queues merger) error {
	var saved savedQueue
	if err := json.Unmarshal(text, &saved); err != nil {
		return err
	}
	key := history.QueueKey{User: string(saved.User), Name: string(saved.Name)}
	if saved.Acked == nil {
		queues.Merge(key, nil, saved.Claim, saved.Bridge)
		return nil
	}
	state := &history.QueueState{Seen: saved.Seen, Claim: saved.Claim, Used: saved.Used}
	if state.Acked.UnmarshalBinary(saved.Acked) != nil {
		return errors.New("malformed position")
	}
	for _, t := range saved.Topics {
		state.Topics = append(state.Topics, string(t))
	}
	queues.Merge(key, state, 0, saved.Bridge)
	return nil
}

// queuesRead notes that the queues are known here.
func (s *Share) queuesRead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.queuesKnown {
		s.queuesKnown = true
		s.notify()
	}
}

// presence tells the other bridges that this one is there, and notes which are.
func (s *Share) presence() {
	sub, err := s.conn.Subscribe(s.aliveSubject, func(m *nats.Msg) {
		s.mu.Lock()
		s.heard[string(m.Data)] = time.Now()
		s.mu.Unlock()
	})
	if err != nil {
		return // the connection is closed
	}
	defer func() { _ = sub.Unsubscribe() }()
	ticker := time.NewTicker(s.o.Lease / 3)
	defer ticker.Stop()
	for {
		_ = s.conn.Publish(s.aliveSubject, []byte(s.o.Bridge)) // without a connection nobody hears it
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		maps.DeleteFunc(s.heard, func(_ string, at time.Time) bool { return time.Since(at) >= s.o.Lease })
		s.mu.Unlock()
	}
}

// Alive reports whether a bridge is there: it was heard of within the time of the lease, or there
// was no time to hear of it yet.
func (s *Share) Alive(bridge string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.opened
	if heard := s.heard[bridge]; heard.After(since) {
		since = heard
	}
	return time.Since(since) < s.o.Lease
}
