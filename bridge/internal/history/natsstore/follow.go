package natsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// errHole reports that the stream is not what this bridge has read: it has to be read again.
var errHole = errors.New("the stream has lost messages")

const (
	followRetry = 200 * time.Millisecond
	pullBytes   = 16 << 20
	// consumerIdle is after what time NATS deletes the consumer of a bridge that does not read.
	consumerIdle = time.Minute
)

// reader is what follow knows of what it has delivered.
type reader struct {
	parts  assembler
	last   identity // of the message at Share.applied; zero if it is not from a bridge
	again  bool     // the stream is read from its beginning, since it is another than before
	target uint64   // the last message of the stream when it was opened
}

// follow reads the stream and delivers it, until the share is closed.
func (s *Share) follow() {
	var r reader
	for s.ctx.Err() == nil {
		err := s.read(&r)
		if s.ctx.Err() != nil {
			return
		}
		if errors.Is(err, errHole) {
			r.again = true
			continue
		}
		s.setFollows(err)
		select {
		case <-s.ctx.Done():
		case <-s.retry:
		case <-time.After(followRetry):
		}
	}
}

func (s *Share) setFollows(err error) {
	s.mu.Lock()
	s.follows = err
	s.mu.Unlock()
	s.judge()
}

// read delivers what follows in the stream until there is an error or the connection changes; nil
// means the latter.
func (s *Share) read(r *reader) error {
	stream, err := s.openStream()
	if err != nil {
		return err
	}
	state := stream.CachedInfo().State
	if err := s.compare(r, stream, &state); err != nil {
		return err
	}
	if r.again && s.applied.Load() > 0 {
		s.o.Logger.Warn("history: the stream has lost messages that were delivered: it is read again", "stream", s.stream)
		s.progress(0)
	}
	if state.Msgs == 0 {
		s.progress(state.LastSeq)
	}
	from := s.applied.Load() + 1
	r.target = state.LastSeq
	r.parts = assembler{}
	return s.consume(s.stream, max(from, state.FirstSeq, 1), s.retry, func() {
		s.setFollows(nil)
		s.reached(r)
	}, func(m jetstream.Msg) error { return s.deliver(r, m) })
}

// consume calls began, and then deliver with each message of a stream from that sequence on, until
// there is an error or the share is closed. A token in stop, which can be nil, ends it as well: a new
// connection can be to servers that have lost something. Then the error is nil.
func (s *Share) consume(stream string, from uint64, stop <-chan struct{}, began func(), deliver func(jetstream.Msg) error) error {
	consumer, err := s.js.OrderedConsumer(s.ctx, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, InactiveThreshold: consumerIdle,
	})
	if err != nil {
		return err
	}
	defer s.deleteConsumer(stream, consumer)
	messages, err := consumer.Messages(jetstream.PullMaxBytes(pullBytes))
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	s.ended.Go(func() {
		defer messages.Stop()
		select {
		case <-ended:
		case <-s.ctx.Done():
		case <-stop:
		}
	})
	began()
	for {
		m, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := deliver(m); err != nil {
			return err
		}
	}
}

// deleteConsumer deletes a consumer that is not used any more. One that cannot be deleted goes after
// consumerIdle.
func (s *Share) deleteConsumer(stream string, c jetstream.Consumer) {
	info := c.CachedInfo()
	if info == nil || !s.conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Lease/3)
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, stream, info.Name)
}

// openStream returns the stream, which is made if there is none.
func (s *Share) openStream() (jetstream.Stream, error) {
	if !s.conn.IsConnected() {
		return nil, errConnection
	}
	stream, err := s.js.Stream(s.ctx, s.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = s.js.CreateStream(s.ctx, s.streamConfig())
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another bridge was faster
			stream, err = s.js.Stream(s.ctx, s.stream)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", s.stream, explain(err))
	}
	return stream, checkSubjects(stream.CachedInfo().Config, s.subject)
}

// checkSubjects returns an error if a stream is not what bridges share, and so must not be changed.
func checkSubjects(c jetstream.StreamConfig, subject string) error {
	if len(c.Subjects) == 1 && c.Subjects[0] == subject {
		return nil
	}
	return fmt.Errorf("stream %s has the subjects %q, want %q: it was not made by zwsbridge, so history.nats.name must be another", c.Name, c.Subjects, subject)
}

// explain adds to an error what an operator has to do.
func explain(err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("JetStream does not answer (%w): enable it on the NATS servers, as in nats-server --jetstream", err)
	}
	return err
}

// streamConfig bounds the stream so that it has at least what the log of a bridge keeps.
func (s *Share) streamConfig() jetstream.StreamConfig {
	b := s.currentBounds()
	c := jetstream.StreamConfig{
		Name: s.stream, Subjects: []string{s.subject}, Description: "history of zwsbridge route " + s.o.Route,
		Storage: jetstream.FileStorage, Replicas: s.o.Replicas, Discard: jetstream.DiscardOld,
		MaxBytes: 2*b.MaxBytes + 16<<20,
	}
	if b.MaxAge > 0 {
		c.MaxAge = 2*b.MaxAge + time.Minute
	}
	return c
}

// compare finds out whether the stream is the one that was read before: servers that have lost power
// can have lost its end, and an operator can have deleted it.
func (s *Share) compare(r *reader, stream jetstream.Stream, state *jetstream.StreamState) error {
	applied := s.applied.Load()
	switch {
	case applied == 0 || r.again || applied < state.FirstSeq:
		return nil
	case applied > state.LastSeq:
		r.again = true
		return nil
	}
	raw, err := stream.GetMsg(s.ctx, applied)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // dropped meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	m, _, err := parseStored(raw.Header, raw.Data, time.Now())
	r.again = err != nil || m.identity() != r.last
	return nil
}

// deliver delivers the batch that msg completes.
func (s *Share) deliver(r *reader, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	m, known, err := parseStored(msg.Headers(), msg.Data(), time.Now())
	if err != nil {
		return err
	}
	if !known {
		s.foreign(r, meta.Sequence.Stream)
	} else if b, ok := r.parts.add(&m); ok {
		if end := s.o.Log.End().Sequence; b.First > end && m.flags&flagStart == 0 && !r.again && s.applied.Load() > 0 {
			return errHole
		}
		if err := s.o.Deliver(b); err != nil {
			s.o.Logger.Error("history: a message of the stream cannot be used", "stream", s.stream, "sequence", meta.Sequence.Stream, "error", err.Error())
		}
	}
	r.last = m.identity()
	s.progress(meta.Sequence.Stream)
	if meta.NumPending == 0 {
		r.target = 0 // also where its last messages were too old meanwhile
	}
	s.reached(r)
	return nil
}

// foreign notes that no bridge has written a message of the stream. The first of several is logged.
func (s *Share) foreign(r *reader, sequence uint64) {
	if r.last != (identity{}) {
		s.o.Logger.Warn("history: a message that is not from a bridge is skipped: another client of NATS publishes to this subject",
			"subject", s.subject, "stream", s.stream, "sequence", sequence)
	}
}

// progress notes how far the stream was delivered.
func (s *Share) progress(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied.Store(sequence)
	if s.waiters > 0 {
		s.notify()
	}
}

// reached notes when everything was delivered that the stream had when it was opened.
func (s *Share) reached(r *reader) {
	if s.applied.Load() < r.target {
		return
	}
	r.again, r.target = false, 0
	s.mu.Lock()
	was := s.loaded
	s.loaded = true
	if !was {
		s.notify()
	}
	s.mu.Unlock()
	if !was {
		s.judge()
		wake(s.renew)
	}
}

// catchUp waits until everything is delivered that the stream has now, and returns the sequence of
// the last message.
func (s *Share) catchUp(ctx context.Context) (last uint64, err error) {
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return 0, err
	}
	last = stream.CachedInfo().State.LastSeq
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiters++
	defer func() { s.waiters-- }()
	for s.applied.Load() < last {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-changed:
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return last, ctx.Err()
		}
	}
	return last, nil
}

// Await waits until at, which may be from another bridge, is known here, or it is clear that it is
// not, but for at most the time of the lease.
func (s *Share) Await(at history.Position) {
	if at.IsZero() || s.o.Log.Has(at) || !s.conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Lease)
	defer cancel()
	_, _ = s.catchUp(ctx) // the log is asked what it has
}
