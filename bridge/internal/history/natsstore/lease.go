package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
)

// lease is the value of a route's key. Its revision changes each time that the holder is alive.
type lease struct {
	Holder   string          `json:"holder"` // Options.Bridge; "" if it was given back
	Leads    bool            `json:"leads"`  // the holder writes to the stream
	Since    time.Time       `json:"since"`  // when it has taken the lease
	States   json.RawMessage `json:"backends,omitempty"`
	Topics   [][]byte        `json:"topics,omitempty"`   // Bounds.Topics of the holder
	Operator json.RawMessage `json:"operator,omitempty"` // as SetOperator has it
	revision uint64          // 0: the key does not exist
}

const leaseHistory = 1

// elect keeps the lease while this bridge has it, and takes it if no other has.
func (s *Share) elect() {
	defer close(s.resigned)
	for s.stands.Err() == nil {
		err := s.campaign()
		if s.stands.Err() == nil && err != nil && !errors.Is(err, errConnection) {
			s.setElects(fmt.Errorf("bucket %s: %w", s.bucket, explain(err)))
		}
		select {
		case <-s.stands.Done():
		case <-time.After(followRetry):
		}
	}
	s.giveBack()
}

func (s *Share) setElects(err error) {
	s.mu.Lock()
	s.elects = err
	s.mu.Unlock()
	s.judge()
}

// openBucket returns the bucket of the leases, which is made if there is none.
func (s *Share) openBucket() (jetstream.KeyValue, error) {
	if !s.conn.IsConnected() {
		return nil, errConnection
	}
	kv, err := s.js.KeyValue(s.ctx, s.bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = s.js.CreateKeyValue(s.ctx, jetstream.KeyValueConfig{
			Bucket: s.bucket, Description: "leases of zwsbridge", History: leaseHistory, Replicas: s.o.Replicas,
		})
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = s.js.KeyValue(s.ctx, s.bucket)
		}
	}
	return kv, err
}

// campaign watches the lease until there is an error.
func (s *Share) campaign() error {
	kv, err := s.openBucket()
	if err != nil {
		return err
	}
	w, err := kv.Watch(s.ctx, s.key)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	known := false // what the bucket has at present
	live := false  // what comes is new: the initial value can be of a bridge that has ended
	timer := time.NewTimer(s.o.Lease)
	defer timer.Stop()
	for {
		asked := false
		select {
		case <-s.stands.Done():
			return nil
		case entry, ok := <-w.Updates():
			if !ok {
				return errConnection
			}
			if !known {
				known = true
				s.setElects(nil)
			}
			if entry != nil {
				s.saw(entry, live || time.Since(entry.Created()) < s.o.Lease)
			}
			live = live || entry == nil
		case <-s.renew:
			asked = true
		case <-timer.C:
		}
		// What this bridge has written comes back: it must not have it written again.
		if known && (asked || s.nextAct() <= 0) {
			s.act(kv)
		}
		s.judge()
		timer.Reset(s.pause(known))
	}
}

// pause returns how long campaign waits for the bucket; known if it has heard of the lease.
func (s *Share) pause(known bool) time.Duration {
	if !known { // nothing is done, so nextAct does not change
		return s.o.Lease / 6
	}
	return max(s.nextAct(), time.Millisecond)
}

// nextAct returns how long nothing has to be done about the lease.
func (s *Share) nextAct() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.lease.Holder == "": // also after an attempt to take it
		return s.o.Lease/6 - time.Since(s.acted)
	case s.lease.Holder != s.o.Bridge:
		return max(s.o.Lease-time.Since(s.seen)+time.Millisecond, s.o.Lease/6-time.Since(s.acted))
	case s.term.Load() == nil:
		return s.o.Lease/6 - time.Since(s.acted)
	}
	return s.o.Lease/3 - time.Since(s.acted)
}

// saw notes the lease as another bridge, or this one, has written it; live if it has done so just now.
func (s *Share) saw(entry jetstream.KeyValueEntry, live bool) {
	var l lease
	var err error
	if entry.Operation() == jetstream.KeyValuePut {
		err = json.Unmarshal(entry.Value(), &l)
	}
	s.mu.Lock()
	seen := time.Now()
	if err != nil { // not from a bridge: whose lease it is does not change
		l, seen = s.lease, s.seen
	}
	l.revision = entry.Revision()
	if l.revision <= s.lease.revision {
		s.mu.Unlock()
		return // older than what this bridge has written
	}
	taken := s.lease.Holder == s.o.Bridge && l.Holder != s.o.Bridge
	s.lease, s.seen = l, seen
	if live && err == nil && l.Leads && l.Holder != s.o.Bridge {
		s.operator = orEmpty(l.Operator)
	}
	s.notify()
	s.mu.Unlock()
	s.compareTopics()
	if err != nil {
		s.complain(fmt.Errorf("key %s of bucket %s is malformed: %w", s.key, s.bucket, err))
	}
	if taken {
		s.stepDown("another bridge has the lease")
	}
}

// act renews the lease, or takes it if it is free.
func (s *Share) act(kv jetstream.KeyValue) {
	s.mu.Lock()
	s.acted = time.Now()
	l, idle, loaded := s.lease, time.Since(s.seen), s.loaded && s.follows == nil
	s.mu.Unlock()
	mine := l.Holder == s.o.Bridge
	if !s.conn.IsConnected() || !mine && (!loaded || l.Holder != "" && idle < s.o.Lease) {
		return
	}
	if !mine {
		l = lease{Holder: s.o.Bridge, Since: time.Now(), revision: l.revision}
	}
	if !s.write(kv, l) {
		return
	}
	if s.Leading() {
		return
	}
	switch err := s.lead(); {
	case s.ctx.Err() != nil:
		return
	case err != nil:
		s.o.Logger.Warn("history: this bridge has the lease, and cannot write yet", "error", err.Error())
		return
	}
	s.o.Logger.Info("history: this bridge writes from now on", "bridge", s.o.Bridge)
	s.mu.Lock()
	l = s.lease
	s.mu.Unlock()
	s.write(kv, l)
}

// write writes the lease of this bridge, and reports whether it has it now.
func (s *Share) write(kv jetstream.KeyValue, l lease) bool {
	l.Leads = s.Leading()
	s.mu.Lock()
	l.States, l.Topics, l.Operator = s.states, s.bounds.Topics, s.operator
	s.mu.Unlock()
	value, err := json.Marshal(l)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Lease/2)
	defer cancel()
	if l.revision == 0 {
		l.revision, err = kv.Create(ctx, s.key, value)
	} else {
		l.revision, err = kv.Update(ctx, s.key, value, l.revision)
	}
	if err == nil {
		s.mu.Lock()
		s.lease, s.seen = l, time.Now()
		s.notify()
		s.mu.Unlock()
		s.compareTopics()
		return true
	}
	// It is not known what the bucket has now.
	entry, err := kv.Get(ctx, s.key)
	if err != nil {
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			s.mu.Lock()
			s.lease = lease{}
			s.mu.Unlock()
			s.stepDown("the lease is gone")
		}
		return false
	}
	s.mu.Lock()
	ours := s.lease.Holder == s.o.Bridge
	s.lease.revision = min(s.lease.revision, entry.Revision()-1)
	s.mu.Unlock()
	s.saw(entry, false)
	return ours && s.holds()
}

// holds reports whether the lease is this bridge's, as it was last seen.
func (s *Share) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease.Holder == s.o.Bridge
}

// lead begins a generation. Everything that another writer has sent and that is not in the stream
// yet is refused from then on.
func (s *Share) lead() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Lease)
	defer cancel()
	last, err := s.catchUp(ctx)
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.stream, err)
	}
	bounds := s.currentBounds()
	if _, err := s.js.UpdateStream(ctx, s.streamConfig()); err != nil && s.ctx.Err() == nil {
		s.o.Logger.Warn("history: the stream's bounds cannot be changed", "stream", s.stream, "error", err.Error())
	}
	// Numbers that the stream has lost, or that a deleted one had, must not come again.
	now := time.Now()
	first := max(s.o.Log.End().Sequence, uint64(now.Unix())<<generationBits)
	id := history.NewGeneration()
	var b history.Builder
	b.Begin(first)
	b.Start(s.o.Log, id, bounds.Topics, now.UnixMilli())
	p := encode(b.Batch(), id, flagStart, s.maxMessage())
	if len(p) > 1 {
		return errors.New("the topics are too long for a message of NATS")
	}
	ack, err := s.js.Publish(ctx, s.subject, p[0], jetstream.WithExpectLastSequence(last), jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.stream, err)
	}
	s.begin(newTerm(s, id, b.Next(), ack.Sequence))
	return nil
}

// generationBits is the binary logarithm of how many records a second can have without that the
// sequences of a generation, which begins at its start time, reach those of the next one.
const generationBits = 28

// begin makes t what this bridge writes with.
func (s *Share) begin(t *term) {
	s.term.Store(t)
	s.ended.Go(t.run)
	s.mu.Lock()
	s.notify()
	s.mu.Unlock()
	s.judge()
}

// stepDown stops writing.
func (s *Share) stepDown(reason string) {
	if t := s.term.Swap(nil); t != nil {
		t.stop()
		s.o.Logger.Warn("history: this bridge writes no longer", "reason", reason)
		s.mu.Lock()
		s.notify()
		s.mu.Unlock()
		s.judge()
	}
}

// giveBack lets another bridge take the lease at once.
func (s *Share) giveBack() {
	s.stepDown("it is closed")
	s.mu.Lock()
	l := s.lease
	s.mu.Unlock()
	if l.Holder != s.o.Bridge || !s.conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Lease/3)
	defer cancel()
	if kv, err := s.js.KeyValue(ctx, s.bucket); err == nil {
		_, _ = kv.Update(ctx, s.key, []byte(`{"holder":""}`), l.revision) // else it ends by itself
	}
}
