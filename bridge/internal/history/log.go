package history

import (
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Log keeps the messages of one route. Append and Flush are called by one goroutine at a time (with
// the hub locked), all other methods by any.
type Log struct {
	clock func() (wall, mono int64) // milliseconds

	flushing sync.Mutex // held while the store is written to; before mu
	buffer   []byte     // scratch of flush

	mu          sync.Mutex
	o           Options
	kept        prefixes
	coverage    []coverage
	generations []generation // oldest first

	sealed     []ref
	active     block
	size       int // of a block in bytes
	first, end uint64
	messages   int
	gaps       []uint64 // sequences of records before which something may be missing
	skips      []uint64 // sequences of records of messages that are not kept
	outages    []uint64 // sequences behind the gaps that clients are told of while they read; only appended to
	topics     topics
	values     values
	valued     int    // topics with a last value
	floor      uint64 // messages before it are not last values
	forgotten  map[string]uint64

	logBytes   int64 // of records
	topicBytes int64 // of topics with messages in the log

	newest     int64 // l.mono of the newest record of a replica
	batch      bool  // mono and wall are those of this batch
	mono, wall int64 // milliseconds
	timer      *time.Timer
	armed      bool // timer is running
	closed     bool

	written uint64 // everything before this sequence was given to the store
	retry   int64  // l.mono when a failed store is tried again
	state   State
	missed  Missed
	carried carried
}

// generation is a run of the log.
type generation struct{ id, first uint64 }

// maxGenerations is how many runs of the log are known. A position of an older one cannot be
// recovered.
const maxGenerations = 256

// New returns the log of that store, or an empty one in memory. The caller ends it with Close. The
// error is that of Store.Load; a store that can be read but not written to is a matter of State.
func New(o Options) (*Log, error) {
	began := time.Now()
	return open(o, func() (wall, mono int64) {
		now := time.Now()
		return now.UnixMilli(), now.Sub(began).Milliseconds()
	})
}

func open(o Options, clock func() (wall, mono int64)) (*Log, error) {
	o = o.withDefaults()
	l := &Log{
		clock: clock, o: o, kept: newPrefixes(o.Topics), size: blockBytes(o.MaxBytes),
		first: 1, end: 1, floor: 1, topics: topics{byName: make(map[string]*topic)},
	}
	l.tick()
	l.newest = -1 << 62
	if o.Store != nil {
		if err := l.load(); err != nil {
			o.Store.Close()
			return nil, err
		}
	}
	l.mu.Lock()
	l.batch = false
	l.cover()
	l.dropUncovered()
	l.begin()
	l.arm()
	l.mu.Unlock()
	l.Flush() // an error is that of State
	return l, nil
}

// begin begins a new generation. In a log that is not empty, what was published in between is
// missing. Lock held on entry.
func (l *Log) begin() {
	l.addGeneration(NewGeneration())
	if l.o.Store != nil {
		l.control(l.startRecord())
	}
}

func (l *Log) addGeneration(id uint64) {
	l.generations = append(l.generations, generation{id, l.end})
	if n := len(l.generations) - maxGenerations; n > 0 {
		l.generations = l.generations[n:]
	}
}

// Append keeps m, which is copied, and returns the position after it. kept is false if it is not in
// the log: its topic is not one that is kept, it is too large, or the store has failed.
func (l *Log) Append(m zmtp.Message) (at Position, kept bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(m) == 0 || l.closed || l.o.Replica {
		return l.position(), false
	}
	t := l.topics.byName[string(m[0])]
	if t == nil && !l.kept.match(m[0]) {
		return l.position(), false
	}
	if l.state.Err != nil {
		l.state.Missed++
		l.miss(t, m[0])
		return l.position(), false
	}
	size := messageSize(m)
	if !l.fits(m[0], size) {
		l.skip(m[0])
		return l.position(), false
	}
	l.tick()
	b := l.room(size)
	b.bytes = appendMessage(b.bytes, m)
	l.add(t, m[0], size)
	l.enforce()
	l.expire(2)
	l.arm()
	return l.position(), true
}

// maxRecord is the size of the largest record. Offsets in a block have 32 bits.
const maxRecord = 1 << 30

// fits reports whether the log has room for a message of that topic and size.
func (l *Log) fits(name []byte, size int) bool {
	return size <= maxRecord && int64(size+recordSize+len(name)+topicSize) <= l.o.MaxBytes
}

// add makes the last size bytes of the active block a record of topic t, which is added if it is
// nil. Lock held on entry.
func (l *Log) add(t *topic, name []byte, size int) {
	if t == nil {
		t = l.topics.add(string(name))
		l.topicBytes += t.size()
	}
	before := l.hasValue(t)
	if t.kept != nil {
		l.values.remove(t.kept)
		l.topicBytes += t.size()
	}
	var prev uint32
	if t.last >= l.first {
		prev = uint32(min(l.end-t.last, far))
	}
	t.last, t.void = l.end, false
	if after := l.hasValue(t); after && !before {
		l.valued++
	} else if before && !after {
		l.valued--
	}
	l.messages++
	l.push(record{topic: t.id, prev: prev}, size)
}

// push makes the last size bytes of the active block the record r. Lock held on entry.
func (l *Log) push(r record, size int) {
	b := &l.active
	r.end, r.time = uint32(len(b.bytes)), uint32(l.mono-b.mono)
	b.records = append(b.records, r)
	l.logBytes += int64(size + recordSize)
	if l.first == l.end {
		l.first = b.base
	}
	l.end++
}

// room returns the active block, with room for size bytes more, and begins a new one if needed.
// Lock held on entry.
func (l *Log) room(size int) *block {
	b := &l.active
	skew := (l.wall - l.mono) - (b.wall - b.mono)
	full := len(b.bytes)+size > l.size
	if len(b.records) > 0 && (full || b.end() != l.end || l.mono-b.mono >= int64(control) ||
		skew > maxClockSkew || skew < -maxClockSkew) {
		last := b.seal()
		l.sealed = append(l.sealed, ref{last.base, last})
		*b = block{}
		if full {
			*b = block{bytes: make([]byte, 0, max(l.size, size)), records: make([]record, 0, len(last.records)*9/8+8)}
		}
	}
	if len(b.records) == 0 {
		b.base, b.mono, b.wall = l.end, l.mono, l.wall
		if cap(b.bytes) < size {
			b.bytes = make([]byte, 0, size)
		}
	}
	return b
}

// tick reads the clock, once for each batch. The log's clock does not run backwards.
func (l *Log) tick() {
	if l.batch {
		return
	}
	l.batch = true
	wall, mono := l.clock()
	l.mono = max(l.mono, mono)
	l.wall = wall + l.mono - mono
}

// position returns the position of the next record. Lock held on entry.
func (l *Log) position() Position {
	return Position{l.generations[len(l.generations)-1].id, l.end}
}

// Gap records that messages may be missing here: they have not reached the bridge. It returns the
// position behind the record.
func (l *Log) Gap(reason string) Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Err == nil && !l.closed && !l.o.Replica {
		l.control(gapRecord(reason))
		l.outages = append(l.outages, l.end)
	}
	return l.position()
}

// Missed records that a message of topic has reached the bridge, which does not keep it. Nothing is
// recorded of topics that are not kept.
func (l *Log) Missed(topic []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Err == nil && !l.closed && !l.o.Replica && l.kept.match(topic) {
		l.skip(topic)
	}
}

// Flush ends what one read of the upstream has brought. With a store it is written now: call it
// before the messages are delivered. An error is that of State; the messages are not stored then,
// but can be delivered.
func (l *Log) Flush() error {
	l.mu.Lock()
	l.batch = false
	l.expire(step)
	stored := l.o.Store != nil
	l.mu.Unlock()
	if !stored {
		return nil
	}
	return l.flush()
}

// Restored reports whether the store had records when the log was made.
func (l *Log) Restored() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.o.Store != nil && l.current().first > 1
}

// End returns the position of the next message.
func (l *Log) End() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.position()
}

// view returns the log as it is now. Lock held on entry.
func (l *Log) view() view {
	return view{l.sealed, l.active, l.first, l.end, l.forgotten, l.outages}
}
