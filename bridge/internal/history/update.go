package history

import (
	"slices"
	"time"
)

// Update applies other bounds and topics to the live log. Store and OnState stay. Topics that are
// not kept any more lose their last values at once; their messages stay until they are too old.
func (l *Log) Update(o Options) {
	l.flushing.Lock()
	l.retopic(newPrefixes(o.Topics))
	for !o.LastValues && l.dropKept() {
	}
	l.mu.Lock()
	o.Replica, o.Store, o.OnState = l.o.Replica, l.o.Store, l.o.OnState
	o = o.withDefaults()
	l.switchValues(o.LastValues)
	l.o.MaxAge, l.o.LastValueAge = o.MaxAge, o.LastValueAge
	l.size = blockBytes(o.MaxBytes)
	l.mu.Unlock()
	for !l.lower(o) {
	}
	l.flushing.Unlock()
	l.restartTimer()
	l.Flush()
}

// retopic changes the topics that are kept, a step at a time.
func (l *Log) retopic(kept prefixes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Equal(kept, l.kept) {
		return
	}
	l.kept = kept
	l.cover()
	if l.o.Store != nil && l.state.Err == nil {
		l.control(l.startRecord())
	}
	l.carried.void = true
	for pivot, more := "", true; more; {
		var gone []*topic
		n := 0
		l.topics.ordered.Ascend(pivot, func(name string, t *topic) bool {
			if n++; n > step {
				pivot = name
				return false
			}
			if !kept.covers(name) {
				gone = append(gone, t)
			}
			return true
		})
		for _, t := range gone {
			l.removeTopic(t)
		}
		if more = n > step; more {
			l.mu.Unlock()
			l.mu.Lock()
		}
	}
}

// switchValues turns last values on or off. What is in the log can become one at once. Lock held
// on entry.
func (l *Log) switchValues(on bool) {
	if on == l.o.LastValues {
		return
	}
	if l.o.LastValues = on; on {
		l.floor, l.valued = l.first, 0
		for _, t := range l.topics.byID {
			if t != nil && l.hasValue(t) {
				l.valued++
			}
		}
		return
	}
	for v := l.values.oldest(); v != nil; v = l.values.oldest() {
		l.removeKept(v.topic)
	}
	l.valued, l.carried.void = 0, true
}

// dropKept removes some of the last values that have left the log, and reports whether there are
// more.
func (l *Log) dropKept() (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range step {
		v := l.values.oldest()
		if v == nil {
			return false
		}
		l.removeKept(v.topic)
	}
	return true
}

// lower takes a step towards the bounds of o and reports whether they are reached.
func (l *Log) lower(o Options) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	values := l.o.MaxLastValues
	l.o.MaxBytes, l.o.MaxLastValues = o.MaxBytes, o.MaxLastValues
	for range step {
		if !l.enforceOne() {
			return true
		}
	}
	// Append must not do all the rest at once.
	l.o.MaxBytes, l.o.MaxLastValues = max(l.bytes(), o.MaxBytes), values
	return false
}

// restartTimer starts the timer for ages that have changed.
func (l *Log) restartTimer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil && !l.closed {
		l.armed = true
		l.timer.Reset(time.Millisecond)
		return
	}
	l.batch = false
	l.tick()
	l.arm()
}

// Forget removes the last value of topic, and its messages from what is read from now on. Their
// memory is freed as that of others. It reports whether there were any. While the store fails,
// it is not recorded there, and a restart brings back what is stored.
func (l *Log) Forget(topic []byte) bool {
	l.flushing.Lock()
	l.mu.Lock()
	_, known := l.topics.byName[string(topic)]
	if known = known && !l.o.Replica; known && !l.closed {
		l.control(forgetRecord(topic))
	}
	l.mu.Unlock()
	l.flushing.Unlock()
	l.Flush()
	return known
}

// Stats returns the size of the log.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.position()
	s := Stats{
		Messages: l.messages, Bytes: l.bytes(), Topics: len(l.topics.byName), LastValues: l.valued,
		First: Position{p.Generation, l.first}, End: p,
	}
	if l.messages > 0 {
		v := l.view()
		first, i := v.find(l.first)
		last, j := v.find(l.end - 1)
		s.Oldest, s.Newest = time.UnixMilli(first.wallTime(i)), time.UnixMilli(last.wallTime(j))
	}
	return s
}

// State returns how the store works.
func (l *Log) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Close closes the log and its store. What is kept in memory can still be read. It may be called
// more than once.
func (l *Log) Close() error {
	err := l.Flush()
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	if l.o.Store == nil || closed {
		return nil
	}
	if closing := l.o.Store.Close(); err == nil {
		err = closing
	}
	return err
}
