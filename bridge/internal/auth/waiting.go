package auth

import (
	"context"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// How attempts wait for places. A waiter is in the list of one tally that is at the limit, and
// would not be if one of the logins that are being judged were not refused: such a login always
// exists, and gives its place to the next waiter when it is decided.

// full reports whether n failures reach the limit. Lock held on entry.
func (f *Failures) full(n int) bool { return f.limit > 0 && n >= f.limit }

// find returns the tally of a subject, or nil. Lock held on entry.
func (f *Failures) find(s subject) *tally { return f.tables[s.kind].find(s) }

// join gives an attempt a place, refuses it, or makes it wait; the waiter is nil in the first two
// cases.
func (f *Failures) join(a *attempt) (*waiter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := a.admit()
	if t == nil {
		return nil, err
	}
	if f.waiting >= maxWaiting || t.waiting.Len() >= maxWaitingForOne {
		return nil, f.busy(t)
	}
	w := &waiter{attempt: a, at: t, done: make(chan struct{})}
	w.turn = t.waiting.PushBack(w)
	f.waiting++
	return w, nil
}

// patienceOf returns how long a login can wait: not so long that no time is left to judge it.
func (f *Failures) patienceOf(ctx context.Context) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := f.patience
	if deadline, limited := ctx.Deadline(); limited {
		left = time.Until(deadline)
	}
	return left * 3 / 4
}

// stopWaiting removes a waiter. Lock held on entry.
func (f *Failures) stopWaiting(w *waiter) {
	w.at.waiting.Remove(w.turn)
	f.waiting--
	f.tables[w.at.kind].forget(w.at)
}

// advance lets those that wait for a tally go on, the first one first, until one has to wait. Lock
// held on entry.
func (f *Failures) advance(t *tally) {
	for e := t.waiting.Front(); e != nil; e = t.waiting.Front() {
		w := e.Value.(*waiter)
		next, err := w.attempt.admit()
		if next == t {
			return
		}
		f.stopWaiting(w)
		if next != nil {
			w.at, w.turn = next, next.waiting.PushBack(w)
			f.waiting++
			continue
		}
		w.err = err
		close(w.done)
	}
}

// free gives places back. Lock held on entry.
func (f *Failures) free(places []*tally) {
	for _, t := range places {
		t.judging--
	}
	for _, t := range places {
		f.advance(t)
		f.tables[t.kind].forget(t)
	}
}

// fail counts a refused login against a subject. Lock held on entry.
func (f *Failures) fail(s subject) *tally {
	tb := f.tables[s.kind]
	t := tb.make(s)
	tb.fail(t)
	if f.full(t.failures) {
		f.advance(t)
	}
	return t
}

// miss counts a wrong guess, and pardon takes one back.
func (f *Failures) miss(s subject) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limit > 0 {
		f.fail(s)
	}
}

func (f *Failures) pardon(s subject) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.find(s)
	switch {
	case t == nil || t.failures == 0:
	case t.failures == 1:
		f.tables[s.kind].reset(t)
	default:
		t.failures--
	}
}

// busy returns the error for a login that cannot wait for a tally, with advice when to come back:
// the more logins wait or have been told to come back, the later. Lock held on entry.
func (f *Failures) busy(t *tally) error {
	now, turn := time.Now(), f.judged/time.Duration(max(f.limit, 1))
	from, last := now.Add(time.Duration(t.waiting.Len())*turn), now.Add(zap.MaxRetryAfter)
	if f.full(t.failures) { // most of these will not come back, or not wait
		from, turn, last = t.asked, askInterval, now.Add(maxAskAdvice)
	}
	if t.booked.After(from) {
		from = t.booked
	}
	t.booked = from.Add(turn)
	if t.booked.After(last) {
		t.booked = last
	}
	return zap.Busy(t.booked.Sub(now))
}
