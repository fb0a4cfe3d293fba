package history

import "time"

// step is how many records or topics are worked on before the lock is released, so that Append
// never waits for long.
const step = 128

// bytes returns the memory that is bounded by MaxBytes. Lock held on entry, as in all functions
// of this file that do not take it.
func (l *Log) bytes() int64 { return l.logBytes + l.topicBytes + l.values.bytes }

// enforce removes what is beyond the bounds of bytes and of last values.
func (l *Log) enforce() {
	for l.enforceOne() {
	}
}

// enforceOne removes the oldest record or value if there is too much, and reports whether there
// was.
func (l *Log) enforceOne() bool {
	switch {
	case l.o.MaxLastValues > 0 && l.valued > l.o.MaxLastValues:
		l.dropValue()
	case l.values.bytes > l.o.MaxBytes/2:
		l.dropValue()
	case l.bytes() <= l.o.MaxBytes:
		return false
	case l.end-l.first > 1:
		l.evict()
	case l.values.oldest() != nil:
		l.dropValue()
	case l.first < l.end:
		l.evict()
	default:
		return false
	}
	return true
}

// evict drops the oldest record. If it is the last value of its topic, that is kept.
func (l *Log) evict() {
	b := l.oldest()
	i := int(l.first - b.base)
	r := &b.records[i]
	l.logBytes -= int64(len(b.raw(i)) + recordSize)
	if len(l.gaps) > 0 && l.gaps[0] <= l.first {
		l.gaps = l.gaps[1:]
	}
	if r.topic != control {
		l.messages--
		if t := l.topics.newest(r.topic, l.first); t != nil {
			l.leave(t, b, i)
		}
	}
	l.first++
	if len(l.skips) > 0 && l.skips[0] < l.first {
		l.skips = l.skips[1:]
	}
	for len(l.outages) > 0 && l.outages[0] <= l.first {
		l.outages = l.outages[1:]
	}
	if l.first < b.end() {
		return
	}
	if len(l.sealed) == 0 {
		l.active = block{}
		l.first = l.end
		return
	}
	// A copy: views still read the old list, and it would keep the block alive.
	l.sealed = append(make([]ref, 0, len(l.sealed)+8), l.sealed[1:]...)
	if l.first = l.end; len(l.sealed) > 0 || len(l.active.records) > 0 {
		l.first = l.oldest().base // later than before if there is a hole
	}
}

// oldest returns the block of the oldest record.
func (l *Log) oldest() *block {
	if len(l.sealed) > 0 {
		return l.sealed[0].block
	}
	return &l.active
}

// leave keeps the last value of t, record i of b, which is about to leave the log. If it has none,
// t is removed.
func (l *Log) leave(t *topic, b *block, i int) {
	l.topicBytes -= t.size()
	if !l.hasValue(t) {
		l.topics.remove(t)
		return
	}
	raw := append([]byte(nil), b.raw(i)...)
	l.values.push(&value{topic: t, sequence: t.last, raw: raw, mono: b.monoTime(i), wall: b.wallTime(i)})
}

// hasValue reports whether t has a last value.
func (l *Log) hasValue(t *topic) bool {
	return l.o.LastValues && !t.void && t.last >= l.floor
}

// dropValue removes the last value that was not touched for the longest time, by moving the floor
// behind it. Those that have left the log are older than those in it.
func (l *Log) dropValue() {
	if v := l.values.oldest(); v != nil {
		l.floor = v.sequence + 1
		l.removeKept(v.topic)
		return
	}
	l.floor = max(l.floor, l.first)
	v := l.view()
	for l.floor < l.end {
		b, i := v.find(l.floor)
		id := b.records[i].topic
		l.floor = b.base + uint64(i) + 1
		if id == control {
			continue
		}
		if t := l.topics.newest(id, l.floor-1); t != nil && !t.void {
			l.valued--
			return
		}
	}
}

// removeKept removes t, which has only a last value.
func (l *Log) removeKept(t *topic) {
	l.values.remove(t.kept)
	l.topics.remove(t)
	l.valued--
}

// expire drops up to n records and values that are too old, and reports whether there may be more.
func (l *Log) expire(n int) (more bool) {
	for ; n > 0; n-- {
		switch v := l.values.oldest(); {
		case l.first < l.end && l.tooOld(l.oldest().monoTime(int(l.first-l.oldest().base)), l.o.MaxAge):
			l.evict()
			l.enforce() // a last value takes more memory outside of the log
		case v != nil && l.tooOld(v.mono, l.o.LastValueAge):
			l.dropValue()
		default:
			return false
		}
	}
	return true
}

// tooOld reports whether a message of that time is older than age, if that is not 0.
func (l *Log) tooOld(mono int64, age time.Duration) bool {
	return age > 0 && l.mono-mono > age.Milliseconds()
}

// minExpiry is how often, at most, the timer looks for what is too old.
const minExpiry = time.Second

// arm starts the timer that removes what becomes too old, if it does not run.
func (l *Log) arm() {
	if l.armed || l.closed {
		return
	}
	wait := time.Duration(-1)
	until := func(mono int64, age time.Duration) {
		if d := time.Duration(mono-l.mono)*time.Millisecond + age; age > 0 && (wait < 0 || d < wait) {
			wait = max(d, minExpiry)
		}
	}
	if l.first < l.end {
		until(l.oldest().monoTime(int(l.first-l.oldest().base)), l.o.MaxAge)
	}
	if v := l.values.oldest(); v != nil {
		until(v.mono, l.o.LastValueAge)
	}
	if wait < 0 {
		return
	}
	l.armed = true
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, l.expired)
		return
	}
	l.timer.Reset(wait)
}

// expired removes what is too old, a step at a time.
func (l *Log) expired() {
	for more := true; more; {
		l.mu.Lock()
		l.batch = false
		l.tick()
		l.batch = false
		if more = l.expire(step) && !l.closed; !more {
			l.armed = false
			l.arm()
		}
		l.mu.Unlock()
	}
	l.trim()
}
