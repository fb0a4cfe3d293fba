package history

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Replicated is what a batch has brought to a log that is a copy (Options.Replica).
type Replicated struct {
	// Entries are its messages. They are valid as long as the data of the batch is.
	Entries []Entry
	// Gaps are the places where messages may be missing that have not reached any bridge.
	Gaps []Gap
	// Missed are the topics of messages that are not kept: one for each that was too large, and one
	// for all of a topic that were dropped in a row. Builder.Void can have dropped others as well.
	Missed [][]byte
	// MissedAny is set if more topics were dropped than a record names.
	MissedAny bool
}

// Gap is a place in a batch where messages may be missing.
type Gap struct {
	Entries int // how many of Replicated.Entries are before it
	At      Position
}

// Replicate appends the records of b to a log that is a copy of others. Records that it has are
// skipped. The result is added to r, whose slices can be reused. It is called as Append is.
func (l *Log) Replicate(b Batch, r *Replicated) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || b.First+uint64(b.Count) <= l.end {
		return nil
	}
	l.batch = false
	l.tick()
	now := restoring{mono: l.mono, wall: l.wall, last: l.newest}
	err := l.restore(&now, b, r)
	l.newest = now.last
	l.mono, l.wall, l.batch = now.mono, now.wall, false
	l.expire(step)
	l.arm()
	return err
}

// collect adds the record that has just been appended.
func (r *Replicated) collect(l *Log, raw []byte, isControl bool, wall int64) {
	switch {
	case r == nil:
	case !isControl:
		r.Entries = append(r.Entries, Entry{After: l.position(), Time: time.UnixMilli(wall), raw: raw})
	case kind(raw[0]) == kindSkipped:
		r.Missed = append(r.Missed, raw[1:])
	case kind(raw[0]) == kindVoid:
		r.MissedAny = r.MissedAny || len(raw) == 1
		for name, rest, ok := frame(raw[1:]); ok; name, rest, ok = frame(rest) {
			r.Missed = append(r.Missed, name)
		}
	case len(l.gaps) > 0 && l.gaps[len(l.gaps)-1] == l.end-1:
		r.gap(l, l.end)
	}
}

// gap adds the gap before that sequence, which clients are told of.
func (r *Replicated) gap(l *Log, before uint64) {
	if r == nil {
		return
	}
	l.outages = append(l.outages, before)
	r.Gaps = append(r.Gaps, Gap{len(r.Entries), Position{l.current().id, before}})
}

// Has reports whether at is a position of this log, so that what follows it is here, or was. One
// that another copy has given can be ahead.
func (l *Log) Has(at Position) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return at.Sequence <= l.end && slices.ContainsFunc(l.generations, func(g generation) bool { return g.id == at.Generation })
}

// Knows reports whether the log has messages or a last value of topic.
func (l *Log) Knows(topic []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.topics.byName[string(topic)] != nil
}

// SetState reports for a log that is a copy whether messages reach it at present.
func (l *Log) SetState(err error, missed uint64) {
	l.mu.Lock()
	l.tick()
	l.batch = false
	changed := (err == nil) != (l.state.Err == nil)
	l.state.Missed += missed
	if changed {
		l.state.Since = time.UnixMilli(l.wall)
	}
	l.state.Err = err
	state := l.state
	l.mu.Unlock()
	if changed && l.o.OnState != nil {
		l.o.OnState(state)
	}
}

// Builder makes the batches that logs replicate. The zero value begins at sequence 0; see Begin.
type Builder struct {
	first uint64
	count int
	wall  int64
	data  []byte
}

// Begin starts a batch whose first record has that sequence.
func (b *Builder) Begin(first uint64) { *b = Builder{first: first} }

// Reserve makes room for a batch of that size in bytes. It is called after Begin.
func (b *Builder) Reserve(size int) { b.data = make([]byte, 0, size) }

// Next returns the sequence of the record that would be added.
func (b *Builder) Next() uint64 { return b.first + uint64(b.count) }

// Size returns the size of the batch in bytes.
func (b *Builder) Size() int { return len(b.data) }

// Count returns the number of its records.
func (b *Builder) Count() int { return b.count }

// Batch returns the records that were added. The builder must Begin again after it.
func (b *Builder) Batch() Batch { return Batch{b.first, b.count, b.data} }

// head appends what precedes a record of that size at that time, in Unix milliseconds.
func (b *Builder) head(size int, isControl bool, wall int64) {
	if b.count == 0 {
		b.data = binary.AppendVarint(b.data, wall)
		b.wall = wall
	}
	b.data = appendHead(b.data, size, isControl, wall-b.wall)
	b.wall = wall
	b.count++
}

// Message adds m.
func (b *Builder) Message(m zmtp.Message, wall int64) {
	b.head(messageSize(m), false, wall)
	b.data = appendMessage(b.data, m)
}

func (b *Builder) control(raw []byte, wall int64) {
	b.head(len(raw), true, wall)
	b.data = append(b.data, raw...)
}

// Gap records that messages may be missing here.
func (b *Builder) Gap(reason string, wall int64) { b.control(gapRecord(reason), wall) }

// Skipped records that a message of topic was too large to be kept.
func (b *Builder) Skipped(topic []byte, wall int64) {
	b.control(append([]byte{byte(kindSkipped)}, topic...), wall)
}

// Void records that messages of the topics m were dropped: they have no last value, and no client can
// recover them.
func (b *Builder) Void(m *Missed, wall int64) { b.control(m.voidRecord(), wall) }

// Forget records that topic was forgotten, as Log.Forget does.
func (b *Builder) Forget(topic []byte, wall int64) { b.control(forgetRecord(topic), wall) }

// Start records the generation of that id, and since when which of topics are kept, as far as l,
// which has everything before, knows. A new generation begins here.
func (b *Builder) Start(l *Log, id uint64, topics [][]byte, wall int64) {
	l.mu.Lock()
	all := cover(slices.Clone(l.coverage), newPrefixes(topics), b.Next())
	l.mu.Unlock()
	b.control(append([]byte{byte(kindStart)}, appendStart(nil, id, all)...), wall)
}

// NewGeneration returns the id of a new generation.
func NewGeneration() uint64 {
	var id [8]byte
	rand.Read(id[:])
	return binary.BigEndian.Uint64(id[:])
}

// MaxRecord is the size of the largest message that a log keeps, in bytes as Builder has it.
const MaxRecord = maxRecord

// MessageSize returns the size of m in a batch.
func MessageSize(m zmtp.Message) int { return messageSize(m) }
