package auth

import (
	"container/list"
	"context"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	// maxWaiting limits the logins that wait until others are decided, and maxWaitingForOne
	// those that wait for one address, user or pair. Further ones are told to come back.
	maxWaiting       = 16_384
	maxWaitingForOne = 4096
	// lingering is how long a judgement still counts whose client has left. Without it clients
	// that leave at once could make the bridge ask services as often as they like.
	lingering = time.Second
)

// attempt is the login of one client. It is the [zap.Guard] of the handlers that judge it: while
// one of them does, and until the decision is counted, it has a place in the tally of each of its
// subjects.
type attempt struct {
	failures *Failures
	counted

	// Guarded by failures.mu.
	judging  int       // calls of Enter without Leave
	places   []*tally  // of all subjects; nil without a place
	since    time.Time // when it got its place
	finished bool      // the decision is counted, or the client has left
	left     bool      // the client has left
}

// waiter is an attempt that waits for a place.
type waiter struct {
	attempt *attempt
	at      *tally        // at the limit
	turn    *list.Element // in at.waiting
	done    chan struct{} // closed when err is set or a place was given
	err     error
}

// forbidden returns an error if the attempt must not be judged, whatever others do.
func (a *attempt) forbidden() error {
	a.failures.mu.Lock()
	defer a.failures.mu.Unlock()
	for _, s := range a.decisive() {
		if t := a.failures.find(s); t != nil && a.failures.full(t.failures) {
			return a.failures.cause
		}
	}
	return nil
}

// Enter implements [zap.Guard]: it waits for a place.
func (a *attempt) Enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f := a.failures
	w, err := f.join(a)
	if w == nil {
		return err
	}
	late := time.NewTimer(f.patienceOf(ctx))
	defer late.Stop()
	select {
	case <-w.done:
	case <-late.C:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-w.done:
		if w.err == nil && ctx.Err() != nil {
			a.leave()
			return context.Cause(ctx)
		}
		return w.err
	default:
	}
	t := w.at
	f.stopWaiting(w)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return f.busy(t)
}

// TryEnter implements [zap.Guard].
func (a *attempt) TryEnter() (bool, error) {
	a.failures.mu.Lock()
	defer a.failures.mu.Unlock()
	t, err := a.admit()
	return t == nil && err == nil, err
}

// Leave implements [zap.Guard].
func (a *attempt) Leave() {
	a.failures.mu.Lock()
	defer a.failures.mu.Unlock()
	a.leave()
}

// entered reports whether the attempt has or had a place.
func (a *attempt) entered() bool {
	a.failures.mu.Lock()
	defer a.failures.mu.Unlock()
	return !a.since.IsZero()
}

// leave ends one call of Enter. Lock held on entry.
func (a *attempt) leave() {
	a.judging--
	a.release()
}

// finish counts the decision and reports whether the answer is to be held back.
func (a *attempt) finish(ctx context.Context, status zap.Status) (late bool) {
	f := a.failures
	f.mu.Lock()
	defer f.mu.Unlock()
	a.finished, a.left = true, ctx.Err() != nil
	switch {
	case status == zap.OK && a.pair.kind == byPair && (a.guess || !a.since.IsZero()):
		f.pairs.add(a.pair)
	case status == zap.Refused:
		late = a.fail()
	}
	a.release()
	return late
}

// fail counts a refusal and reports whether the answer is to be held back. Lock held on entry.
func (a *attempt) fail() (late bool) {
	f := a.failures
	if !a.guess {
		f.pairs.remove(a.pair)
	}
	if f.limit == 0 {
		return false
	}
	for _, s := range a.all() {
		t := f.fail(s)
		if !a.guess {
			t.asked = time.Now()
		}
		late = late || t.failures > freeFailures
	}
	return late
}

// release gives the place back once nobody judges the attempt any more and the decision is
// counted. Lock held on entry.
func (a *attempt) release() {
	f := a.failures
	if a.judging > 0 || !a.finished || a.places == nil {
		return
	}
	took, places := time.Since(a.since), a.places
	a.places = nil
	f.judged += (took - f.judged) / 16
	if a.left {
		time.AfterFunc(lingering, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.free(places)
		})
		return
	}
	f.free(places)
}

// admit gives the attempt a place, or returns the tally that it has to wait for, or an error. Lock
// held on entry.
func (a *attempt) admit() (wait *tally, err error) {
	f := a.failures
	if a.places == nil {
		now := time.Now()
		if wait, err = a.check(now); wait != nil || err != nil {
			return wait, err
		}
		a.since = now
		for _, s := range a.all() {
			t := f.tables[s.kind].make(s)
			if !a.guess && f.full(t.failures) {
				t.asked = now
			}
			t.judging++
			a.places = append(a.places, t)
		}
	}
	a.judging++
	return nil, nil
}

// check decides whether the attempt can have a place: see [Failures]. Lock held on entry.
func (a *attempt) check(now time.Time) (wait *tally, err error) {
	f := a.failures
	for _, s := range a.decisive() {
		t := f.find(s)
		switch {
		case t == nil:
		case !f.full(t.failures):
			if f.full(t.failures+t.judging) && wait == nil {
				wait = t
			}
		case a.guess:
			return nil, f.cause
		case now.Sub(t.asked) < askInterval:
			return nil, f.busy(t)
		}
	}
	return wait, nil
}

// all returns all subjects of the attempt.
func (a *attempt) all() []subject {
	if !a.guess {
		return a.limited
	}
	return append(a.limited[:len(a.limited):len(a.limited)], a.pair)
}

// decisive returns the subjects whose limit counts for the attempt: only the pair, if that has
// logged in and not failed too often. Lock held on entry.
func (a *attempt) decisive() []subject {
	f, all := a.failures, a.all()
	if !f.pairs.has(a.pair) {
		return all
	}
	if t := f.find(a.pair); t != nil && f.full(t.failures) {
		return all
	}
	return all[len(a.limited):]
}
