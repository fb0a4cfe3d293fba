package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// term is the time in which this bridge writes to the stream.
type term struct {
	share  *Share
	id     uint64 // its generation
	wake   chan struct{}
	ctx    context.Context
	stop   context.CancelFunc
	missed atomic.Uint64 // messages that were dropped since judge has counted them

	mu      sync.Mutex
	build   history.Builder // what no batch has yet
	batches []history.Batch // what the stream does not have yet, as far as is known
	bytes   int             // of these
	full    bool            // messages are dropped until half of what can wait is free
	dropped history.Missed  // topics of these
	failed  error           // why nothing can be written at present

	// Only run uses these.
	sent   int    // number of batches that were sent
	last   uint64 // sequence, in the stream, of the message before the next one
	flight []flight
	began  time.Time // when the last batch was sent
}

// flight is a message of the stream on its way.
type flight struct {
	jetstream.PubAckFuture
	sequence uint64 // that it must get
	ends     bool   // it is the last part of its batch
}

const (
	// window is how many messages are on their way, if there are full batches. A smaller batch
	// waits until none is, and for the spacing since the last one: NATS spends as much on a
	// message of the stream whether it has one record or a hundred.
	window     = 4
	spacing    = time.Millisecond
	batchBytes = 512 << 10
	minWaiting = 8 << 20 // bytes that can wait for NATS
)

func newTerm(s *Share, id, next, last uint64) *term {
	t := &term{share: s, id: id, wake: make(chan struct{}, 1), last: last}
	t.ctx, t.stop = context.WithCancel(s.ctx)
	t.build.Begin(next)
	return t
}

// append adds m to the next batch.
func (t *term) append(m zmtp.Message) {
	size := history.MessageSize(m)
	bounds := t.share.currentBounds()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case size > history.MaxRecord || int64(size) > bounds.MaxBytes/2:
		t.build.Skipped(m[0], time.Now().UnixMilli())
		return
	case t.full || int64(t.bytes+t.build.Size()+size) > bounds.waiting():
		t.full = true
		t.dropped.Add(m[0], bounds.MaxBytes)
		t.missed.Add(1)
		return
	}
	t.build.Message(m, time.Now().UnixMilli())
	if t.build.Size() >= batchBytes {
		t.seal()
		wake(t.wake)
	}
}

// resume records what was dropped, once half of the bytes that can wait is free. Lock held on entry.
func (t *term) resume(waiting int64) {
	if !t.full || int64(t.bytes+t.build.Size()) > waiting/2 {
		return
	}
	wall := time.Now().UnixMilli()
	t.build.Void(&t.dropped, wall) // first: who is told of the gap knows it
	t.build.Gap("NATS has not taken messages in time", wall)
	t.full, t.dropped = false, history.Missed{}
}

// seal makes a batch of what was added. Lock held on entry.
func (t *term) seal() {
	b := t.build.Batch()
	t.batches = append(t.batches, b)
	t.bytes += len(b.Data)
	t.build.Begin(t.build.Next())
	t.build.Reserve(len(b.Data) + len(b.Data)/8) // the next one is similar
}

// record adds a control record.
func (t *term) record(add func(b *history.Builder, wall int64)) {
	t.mu.Lock()
	add(&t.build, time.Now().UnixMilli())
	t.mu.Unlock()
	wake(t.wake)
}

func (t *term) gap(reason string) {
	t.record(func(b *history.Builder, wall int64) { b.Gap(reason, wall) })
}

func (t *term) skipped(topic []byte) {
	t.record(func(b *history.Builder, wall int64) { b.Skipped(topic, wall) })
}

func (t *term) forget(topic []byte) {
	t.record(func(b *history.Builder, wall int64) { b.Forget(topic, wall) })
}

// cover records that other topics are kept from here on.
func (t *term) cover(topics [][]byte) {
	t.record(func(b *history.Builder, wall int64) { b.Start(t.share.o.Log, t.id, topics, wall) })
}

// failure returns why nothing is written at present.
func (t *term) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *term) fail(err error) {
	t.mu.Lock()
	changed := (err == nil) != (t.failed == nil)
	t.failed = err
	t.mu.Unlock()
	if changed || t.missed.Load() > 0 {
		t.share.judge()
	}
}

// drain waits until everything is written that was appended, but not longer than wait.
func (t *term) drain(wait time.Duration) {
	wake(t.wake)
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(time.Millisecond) {
		t.mu.Lock()
		empty := len(t.batches) == 0 && t.build.Count() == 0
		t.mu.Unlock()
		if empty {
			return
		}
	}
}

// run writes batches until the term ends.
func (t *term) run() {
	defer t.share.serve(t.share.forgetSubject, func(topic []byte) []byte { t.forget(topic); return nil })()
	if operate := t.share.o.Operate; operate != nil {
		defer t.share.serve(t.share.operateSubject, operate)()
	}
	for t.ctx.Err() == nil {
		wait, err := t.send()
		var later <-chan time.Time
		if wait > 0 {
			later = time.After(wait)
		}
		var ok <-chan *jetstream.PubAck
		var failed <-chan error
		if err == nil && len(t.flight) > 0 {
			ok, failed = t.flight[0].Ok(), t.flight[0].Err()
		}
		if err == nil {
			select {
			case <-t.ctx.Done():
				return
			case <-t.wake:
			case <-later:
			case ack := <-ok:
				err = t.acknowledged(ack)
			case err = <-failed:
				t.flight = t.flight[1:]
			}
		}
		if err != nil && !t.recover(err) {
			return
		}
	}
}

// send sends batches while there is room on the way. If one has to wait for the spacing, it returns
// how long.
func (t *term) send() (wait time.Duration, err error) {
	for len(t.flight) < window {
		t.mu.Lock()
		if t.sent == len(t.batches) && t.build.Count() > 0 && len(t.flight) == 0 {
			if wait = spacing - time.Since(t.began); wait > 0 {
				t.mu.Unlock()
				return wait, nil
			}
			t.seal()
		}
		if t.sent == len(t.batches) {
			t.mu.Unlock()
			return 0, nil
		}
		b := t.batches[t.sent]
		t.mu.Unlock()
		parts := encode(b, t.id, 0, t.share.maxMessage())
		for i, p := range parts {
			m := &nats.Msg{Subject: t.share.subject, Data: p, Header: nats.Header{}}
			m.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(t.last, 10)}
			future, err := t.share.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
			if err != nil {
				return 0, err
			}
			t.last++
			t.flight = append(t.flight, flight{future, t.last, i == len(parts)-1})
		}
		t.sent++
		t.began = time.Now()
	}
	return 0, nil
}

// acknowledged notes that the stream has the message that was sent first.
func (t *term) acknowledged(ack *jetstream.PubAck) error {
	f := t.flight[0]
	t.flight = t.flight[1:]
	if ack.Sequence != f.sequence {
		return fmt.Errorf("the stream has given %d to a message, want %d", ack.Sequence, f.sequence)
	}
	if f.ends {
		t.taken(1)
	}
	return nil
}

// taken notes that the stream has the first n batches.
func (t *term) taken(n int) {
	waiting := t.share.currentBounds().waiting()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.batches[:n] {
		t.bytes -= len(b.Data)
	}
	t.batches = append(t.batches[:0:0], t.batches[n:]...)
	t.sent = max(t.sent-n, 0)
	t.resume(waiting)
}

// recover finds out, after an error, what the stream has, so that the rest can be sent again. It
// reports whether the term goes on.
func (t *term) recover(err error) bool {
	// Nothing of what was sent can be accepted after what is sent next was, but it is known sooner
	// what the stream has once all of it is decided.
	for _, f := range t.flight {
		select {
		case <-f.Ok():
		case <-f.Err():
		case <-t.ctx.Done():
			return false
		}
	}
	t.flight, t.sent = nil, 0
	for {
		t.fail(fmt.Errorf("NATS does not take messages: %w", err))
		if err = t.compare(); err == nil {
			t.fail(nil)
			return true
		}
		if errors.Is(err, errReplaced) {
			t.share.lostTerm(t)
			return false
		}
		select {
		case <-t.ctx.Done():
			return false
		case <-t.wake:
		case <-time.After(followRetry):
		}
	}
}

// errReplaced reports that another bridge has written to the stream, or that it was replaced.
var errReplaced = errors.New("the stream has messages of another bridge")

// compare makes batches what the stream does not have yet.
func (t *term) compare() error {
	s := t.share
	if !s.conn.IsConnected() {
		return errConnection
	}
	ctx, cancel := context.WithTimeout(t.ctx, s.o.Lease)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return errReplaced
	}
	if err != nil {
		return err
	}
	raw, err := stream.GetLastMsgForSubject(ctx, s.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return errReplaced
	}
	if err != nil {
		return err
	}
	last := raw.Sequence
	m, known, err := parseStored(raw.Header, raw.Data, time.Now())
	for !known && err == nil {
		if raw, err = stream.GetMsg(ctx, raw.Sequence-1); err == nil {
			m, known, err = parseStored(raw.Header, raw.Data, time.Now())
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || m.writer != t.id {
		return errReplaced
	}
	end := m.first + uint64(m.count)
	if m.flags&flagMore != 0 {
		end = m.first // its other parts are missing: all are sent again
	}
	t.mu.Lock()
	next, n := t.build.Next()-uint64(t.build.Count()), 0
	if len(t.batches) > 0 {
		next = t.batches[0].First
	}
	for n < len(t.batches) && t.batches[n].First+uint64(t.batches[n].Count) <= end {
		n++
	}
	t.mu.Unlock()
	if end < next { // it has lost what it had acknowledged
		return errReplaced
	}
	t.taken(n)
	t.last = last // messages that are not from a bridge are in between
	return nil
}

// lostTerm ends t: what it has not written is lost, as the start record of the next one says.
func (s *Share) lostTerm(t *term) {
	if s.term.Load() != t {
		return
	}
	s.stepDown(errReplaced.Error())
	wake(s.retry)
	wake(s.renew)
}
