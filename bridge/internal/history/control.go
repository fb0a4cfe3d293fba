package history

import (
	"encoding/binary"
	"errors"
	"maps"
)

// A control record says something about the log. Like a message it has a sequence, so that a
// position is before or after it.
type kind byte

const (
	kindGap     kind = 1 + iota // messages may be missing; a reason follows
	kindStart                   // a generation begins, or the topics change; see startRecord
	kindForget                  // a topic was forgotten; it follows
	kindSkipped                 // a message was too large to be kept; its topic follows
	kindVoid                    // messages of topics were not kept, so that they have no last value; see voidRecord
)

var errRecord = errors.New("not a record of the history")

func gapRecord(reason string) []byte    { return append([]byte{byte(kindGap)}, reason...) }
func forgetRecord(topic []byte) []byte  { return append([]byte{byte(kindForget)}, topic...) }
func (l *Log) startRecord() []byte      { return append([]byte{byte(kindStart)}, l.appendStart(nil)...) }
func (l *Log) current() (g *generation) { return &l.generations[len(l.generations)-1] }
func isGap(k kind) bool                 { return k == kindGap || k == kindSkipped }

// appendStart appends the current generation and what is kept since when: an id, the number of
// prefixes, and for each its length, the prefix and its sequence.
func (l *Log) appendStart(dst []byte) []byte {
	return appendStart(dst, l.current().id, l.coverage)
}

func appendStart(dst []byte, id uint64, all []coverage) []byte {
	dst = binary.BigEndian.AppendUint64(dst, id)
	dst = binary.AppendUvarint(dst, uint64(len(all)))
	for _, c := range all {
		dst = binary.AppendUvarint(dst, uint64(len(c.prefix)))
		dst = append(dst, c.prefix...)
		dst = binary.AppendUvarint(dst, c.since)
	}
	return dst
}

// parseStart parses what appendStart has written.
func parseStart(p []byte) (id uint64, all []coverage, ok bool) {
	if len(p) < 8 {
		return 0, nil, false
	}
	id, p = binary.BigEndian.Uint64(p), p[8:]
	count, n := binary.Uvarint(p)
	if n <= 0 || count > uint64(len(p)) {
		return 0, nil, false
	}
	p = p[n:]
	for range count {
		prefix, rest, ok := frame(p)
		if !ok {
			return 0, nil, false
		}
		since, n := binary.Uvarint(rest)
		if n <= 0 {
			return 0, nil, false
		}
		all = append(all, coverage{string(prefix), since})
		p = rest[n:]
	}
	return id, all, len(p) == 0
}

// control appends and applies a control record. Lock held on entry.
func (l *Log) control(raw []byte) {
	l.tick()
	b := l.room(len(raw))
	b.bytes = append(b.bytes, raw...)
	l.apply(raw)
	l.push(record{topic: control}, len(raw))
	l.enforce()
	l.arm()
}

// apply makes the log what the control record raw says, whose sequence is l.end. Lock held on
// entry.
func (l *Log) apply(raw []byte) {
	switch k := kind(raw[0]); {
	case isGap(k):
		l.gaps = append(l.gaps, l.end)
		if k == kindSkipped {
			l.skips = append(l.skips, l.end)
		}
		if t := l.topics.byName[string(raw[1:])]; k == kindSkipped && t != nil {
			l.voidValue(t)
		}
	case k == kindStart:
		if l.current().first == l.end && l.end > 1 {
			l.gaps = append(l.gaps, l.end)
		}
	case k == kindVoid:
		l.skips = append(l.skips, l.end)
		l.void(raw[1:])
	case k == kindForget:
		name := string(raw[1:])
		l.forgotten = maps.Clone(l.forgotten)
		if l.forgotten == nil {
			l.forgotten = make(map[string]uint64)
		}
		maps.DeleteFunc(l.forgotten, func(_ string, before uint64) bool { return before <= l.first })
		l.forgotten[name] = l.end
		if t := l.topics.byName[name]; t != nil {
			l.removeTopic(t)
		}
		l.carried.void = true
	}
}

// maxSkipped is the length of the longest topic, in bytes, that a record names of a message that was too
// large, and maxSkips how many such records one resume looks at.
const (
	maxSkipped = 1 << 10
	maxSkips   = 1 << 10
)

// skip records that a message of the topic of that name was too large. Lock held on entry.
func (l *Log) skip(name []byte) {
	if len(name) > maxSkipped {
		l.control(gapRecord("message too large"))
		return
	}
	l.control(append([]byte{byte(kindSkipped)}, name...))
}

// skipped reports whether a message that matches was not kept, since it was too large or since the store
// had failed: by the records from that sequence on, or because it has failed now. Lock held on entry.
func (l *Log) skipped(match *Match, from uint64) bool {
	v := l.view()
	for i := len(l.skips) - 1; i >= 0 && l.skips[i] >= from; i-- {
		b, n := v.find(l.skips[i])
		if len(l.skips)-i > maxSkips || skips(b.raw(n), match) {
			return true
		}
	}
	return l.missed.matches(match)
}

// skips reports whether the control record raw is about a message that matches.
func skips(raw []byte, match *Match) bool {
	if kind(raw[0]) == kindSkipped {
		return match.Matches(raw[1:])
	}
	if len(raw) == 1 { // any topic
		return !match.Empty()
	}
	for name, rest, ok := frame(raw[1:]); ok; name, rest, ok = frame(rest) {
		if match.Matches(name) {
			return true
		}
	}
	return false
}

// voidValue removes the last value of t: a newer message was not kept.
func (l *Log) voidValue(t *topic) {
	l.carried.void = true
	if t.kept != nil {
		l.removeKept(t)
		return
	}
	if l.hasValue(t) {
		l.valued--
	}
	t.void = true
}

// removeTopic removes t, whatever it has.
func (l *Log) removeTopic(t *topic) {
	if t.kept != nil {
		l.removeKept(t)
		return
	}
	if l.hasValue(t) {
		l.valued--
	}
	l.topicBytes -= t.size()
	l.topics.remove(t)
}
