package history

import "encoding/binary"

// Missed are the topics of messages that the store does not have, since it has failed. What it has of
// them is not their last value any more, and no client can recover them: that is recorded once it works
// again. The zero value has none.
type Missed struct {
	topics map[string]bool
	bytes  int64
	all    bool // there are too many to tell
}

// maxMissed bounds the names of topics that are recorded, in bytes.
const maxMissed = 1 << 20

// Add adds a topic of a log of at most maxBytes. If they become too many, they are all topics.
func (m *Missed) Add(name []byte, maxBytes int64) {
	if m.all || m.topics[string(name)] {
		return
	}
	if m.bytes += int64(len(name)) + 3; m.bytes > min(maxBytes/16, maxMissed) {
		*m = Missed{all: true}
		return
	}
	if m.topics == nil {
		m.topics = make(map[string]bool)
	}
	m.topics[string(name)] = true
}

// matches reports whether one of the topics, or one that is not known, matches.
func (m *Missed) matches(match *Match) bool {
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
	l.missed.Add(name, l.o.MaxBytes)
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
			l.missed.Add(topicOf(b.raw(i)), l.o.MaxBytes)
		}
	}
}

// voidRecord returns the control record that messages of the topics of m were not kept, so that these have
// no last value; without a topic, none has.
func (m *Missed) voidRecord() []byte {
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
