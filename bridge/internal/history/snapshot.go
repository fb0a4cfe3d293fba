package history

import "time"

// Snapshot reads last values, in the order of their topics. One goroutine at a time uses it; it
// needs no Close.
type Snapshot struct {
	walk walk
	cut  Position
}

// Last returns the last values that match, except of topics with a message at or after cut: the
// client gets that one live. Their position is cut, before which the client has everything else. What
// is too old at the time of reading is left out.
func (l *Log) Last(match *Match, cut Position) *Snapshot {
	return &Snapshot{walk{log: l, match: match}, cut}
}

// Next appends the next last values to dst, until they have at least max bytes or enough work is
// done for one step; a step can find nothing. It does not block. more reports that there may be
// more.
func (s *Snapshot) Next(dst []Entry, max int) (entries []Entry, more bool) {
	l := s.walk.log
	n := len(dst)
	l.mu.Lock()
	if !l.batch {
		l.tick()
		l.batch = false
	}
	v := l.view()
	more = s.walk.step(func(t *topic) bool {
		if max <= 0 {
			return false
		}
		if !l.hasValue(t) || t.last >= s.cut.Sequence {
			return true
		}
		raw, mono, wall := l.valueOf(&v, t)
		if !l.tooOld(mono, l.o.LastValueAge) {
			max -= len(raw)
			dst = append(dst, Entry{After: s.cut, Time: time.UnixMilli(wall), raw: raw})
		}
		return true
	})
	l.mu.Unlock()
	if s.walk.match.filter == nil {
		return dst, more
	}
	allowed := dst[:n]
	for _, e := range dst[n:] {
		if s.walk.match.filter.Allows(e.Topic()) {
			allowed = append(allowed, e)
		}
	}
	clear(dst[len(allowed):])
	return allowed, more
}

// valueOf returns the last value of t. Lock held on entry.
func (l *Log) valueOf(v *view, t *topic) (raw []byte, mono, wall int64) {
	if t.kept != nil {
		return t.kept.raw, t.kept.mono, t.kept.wall
	}
	b, i := v.find(t.last)
	return b.raw(i), b.monoTime(i), b.wallTime(i)
}
