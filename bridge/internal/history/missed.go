package history

import "encoding/binary"

// missed are the topics of messages that the store does not have, since it has failed. What it has of
// them is not their last value any more, and no client can recover them: that is recorded once it works
// again.
type missed struct {
	topics map[string]bool
	bytes  int64
	all    bool // there are too many to tell
}

// maxMissed bounds the names of topics that are recorded, in bytes.
const maxMissed = 1 << 20

func (m *missed) add(name []byte, bound int64) {
	if m.all || m.topics[string(name)] {
		return
	}
	if m.bytes += int64(len(name)) + 3; m.bytes > min(bound, maxMissed) {
		*m = missed{all: true}
		return
	}
	if m.topics == nil {
		m.topics = make(map[string]bool)
	}
	m.topics[string(name)] = true
}

// matches reports whether one of the topics, or one that is not known, matches.
func (m *missed) matches(match *Match) bool {
	for name := range m.topics {
		if match.Matches([]byte(name)) {
			return true
		}
	}
	return m.all && !match.Empty()
}

// miss notes that a message of that topic, t if the log knows it, was not kept. Lock held on entry,
// as in the functions below.
func (l *Log) miss(t *topic, name []byte) {
	l.missed.add(name, l.o.MaxBytes/16)
	if t != nil && l.hasValue(t) {
		l.voidValue(t)
	}
}

// missBatch notes that the store does not have the messages from, from+1, … to-1.
func (l *Log) missBatch(from, to uint64) {
	v := l.view()
	for s := max(from, v.first); s < to; s++ {
		b, i := v.find(s)
		if s = b.base + uint64(i); b.records[i].topic != control {
			l.missed.add(topicOf(b.raw(i)), l.o.MaxBytes/16)
		}
	}
}

// voidRecord returns the control record that messages of the topics of m were not kept, so that these have
// no last value; without a topic, none has.
func (m *missed) voidRecord() []byte {
	raw := []byte{byte(kindVoid)}
	for name := range m.topics {
		raw = binary.AppendUvarint(raw, uint64(len(name)))
		raw = append(raw, name...)
	}
	return raw
}

// void applies such a record.
func (l *Log) void(names []byte) {
	if len(names) == 0 {
		for v := l.values.oldest(); v != nil; v = l.values.oldest() {
			l.removeKept(v.topic)
		}
		l.floor, l.valued, l.carried.void = l.end, 0, true
		return
	}
	for name, rest, ok := frame(names); ok; name, rest, ok = frame(rest) {
		if t := l.topics.byName[string(name)]; t != nil && l.hasValue(t) {
			l.voidValue(t)
		}
	}
}
