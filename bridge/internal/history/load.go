package history

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// carried is what is known about what the store carries.
type carried struct {
	void bool // Carrier.Carried
}

// restoring gives records that were stored earlier their place on the log's clock: their age is
// what the wall clock says, but they are not younger than those before.
type restoring struct {
	mono, wall int64 // now
	last       int64
}

func (r *restoring) at(wall int64) (mono int64) {
	mono = r.mono - max(r.wall-wall, 0)
	r.last = max(r.last, mono)
	return r.last
}

// load fills the log from its store.
func (l *Log) load() error {
	r := &restoring{mono: l.mono, wall: l.wall, last: -1 << 62}
	values := &restoring{mono: l.mono, wall: l.wall, last: -1 << 62}
	err := l.o.Store.Load(func(piece []byte) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.restoreCarried(values, piece)
	}, func(b Batch) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err := l.restore(r, b, nil); err != nil {
			return fmt.Errorf("batch at %d: %w", b.First, err)
		}
		return nil
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mono, l.wall = r.mono, r.wall
	if err != nil {
		return err
	}
	l.written = l.end
	for l.expire(step) {
	}
	return nil
}

// dropUncovered removes topics that were not kept at some time since their newest message, which is
// therefore not their last value. Lock held on entry.
func (l *Log) dropUncovered() {
	for _, t := range l.topics.byID {
		if t != nil && !l.covered(prefixes{t.name}, t.last) {
			l.removeTopic(t)
			l.carried.void = true
		}
	}
}

// restore appends the records of b, and adds them to got if that is not nil. l.written is where what
// was carried ends. Lock held on entry.
func (l *Log) restore(r *restoring, b Batch, got *Replicated) error {
	switch end := b.First + uint64(b.Count); {
	case b.First == 0 || b.Count == 0 || end < b.First:
		return errRecord
	case end <= l.written:
		return nil // a crash came between carrying it and deleting it
	case b.First < l.end:
		return errRecord
	case b.First > l.end:
		if l.end > l.first {
			l.gaps = append(l.gaps, b.First)
			got.gap(l, b.First)
		} else {
			l.first = b.First
		}
		l.end = b.First
	}
	return parseBatch(b, func(raw []byte, isControl bool, wall int64) error {
		l.mono = r.at(wall)
		l.wall = l.mono + r.wall - r.mono
		block := l.room(len(raw))
		block.bytes = append(block.bytes, raw...)
		if !isControl {
			name := topicOf(raw)
			l.add(l.topics.byName[string(name)], name, len(raw))
			got.collect(l, raw, false, wall)
			l.enforce()
			return nil
		}
		if kind(raw[0]) == kindStart {
			id, all, ok := parseStart(raw[1:])
			if !ok {
				return errRecord
			}
			if len(l.generations) == 0 || l.current().id != id {
				l.addGeneration(id)
			}
			l.coverage = all
		}
		l.apply(raw)
		l.push(record{topic: control}, len(raw))
		got.collect(l, raw, true, wall)
		l.enforce()
		return nil
	})
}

// The kinds of pieces that a Carrier emits.
const (
	pieceState  = 1 // appendState
	pieceValues = 2 // last values: sequence, time, size and bytes of each
)

// carrier is a Log as Carrier.
type carrier struct{ l *Log }

// Carried implements Carrier.
func (c carrier) Carried() (bytes int64, void bool) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.l.values.bytes, c.l.carried.void
}

// Carry implements Carrier.
func (c carrier) Carry(since, before uint64, emit func(piece []byte) error) error {
	l := c.l
	l.mu.Lock()
	if since == 0 {
		l.carried.void = false
	}
	piece := l.appendState([]byte{pieceState}, before)
	l.mu.Unlock()
	if err := emit(piece); err != nil {
		return err
	}
	values := make([]value, 0, step)
	for {
		l.mu.Lock()
		list := l.values.list
		i := sort.Search(len(list), func(i int) bool { return list[i].sequence >= since })
		for ; i < len(list) && list[i].sequence < before && len(values) < step; i++ {
			if list[i].topic != nil {
				values = append(values, *list[i])
			}
			since = list[i].sequence + 1
		}
		l.mu.Unlock()
		if len(values) == 0 {
			return nil
		}
		piece = append(piece[:0], pieceValues)
		for _, v := range values {
			piece = binary.AppendUvarint(piece, v.sequence)
			piece = binary.AppendVarint(piece, v.wall)
			piece = binary.AppendUvarint(piece, uint64(len(v.raw)))
			piece = append(piece, v.raw...)
		}
		if err := emit(piece); err != nil {
			return err
		}
		values = values[:0]
	}
}

// appendState appends what is known when all records before the sequence before are gone. Lock
// held on entry.
func (l *Log) appendState(dst []byte, before uint64) []byte {
	dst = binary.AppendUvarint(dst, before)
	dst = binary.AppendUvarint(dst, l.floor)
	// Later ones are in the records that stay.
	earlier := l.generations[:sort.Search(len(l.generations), func(i int) bool { return l.generations[i].first >= before })]
	dst = binary.AppendUvarint(dst, uint64(len(earlier)))
	for _, g := range earlier {
		dst = binary.BigEndian.AppendUint64(dst, g.id)
		dst = binary.AppendUvarint(dst, g.first)
	}
	return l.appendStart(dst)
}

// restoreCarried applies a piece. Lock held on entry.
func (l *Log) restoreCarried(r *restoring, piece []byte) error {
	if len(piece) == 0 {
		return errRecord
	}
	switch piece[0] {
	case pieceState:
		return l.restoreState(piece[1:])
	case pieceValues:
		return l.restoreValues(r, piece[1:])
	}
	return errRecord
}

func (l *Log) restoreState(p []byte) error {
	var head [3]uint64 // before, floor, number of generations
	for i := range head {
		v, n := binary.Uvarint(p)
		if n <= 0 {
			return errRecord
		}
		head[i], p = v, p[n:]
	}
	if head[0] == 0 || head[2] > maxGenerations {
		return errRecord
	}
	l.generations = nil
	for range head[2] {
		if len(p) < 9 {
			return errRecord
		}
		first, n := binary.Uvarint(p[8:])
		if n <= 0 {
			return errRecord
		}
		l.generations = append(l.generations, generation{binary.BigEndian.Uint64(p), first})
		p = p[8+n:]
	}
	_, all, ok := parseStart(p)
	if !ok {
		return errRecord
	}
	l.coverage, l.floor = all, max(head[1], 1)
	l.first, l.end, l.written = head[0], head[0], head[0]
	for v := l.values.oldest(); v != nil && v.sequence < l.floor; v = l.values.oldest() {
		l.removeKept(v.topic)
	}
	return nil
}

func (l *Log) restoreValues(r *restoring, p []byte) error {
	for len(p) > 0 {
		sequence, n := binary.Uvarint(p)
		if n <= 0 {
			return errRecord
		}
		wall, m := binary.Varint(p[n:])
		if m <= 0 {
			return errRecord
		}
		raw, rest, ok := frame(p[n+m:])
		if !ok || len(raw) == 0 || !validMessage(raw) {
			return errRecord
		}
		if list := l.values.list; len(list) > 0 && sequence <= list[len(list)-1].sequence {
			return errRecord
		}
		l.restoreValue(value{sequence: sequence, raw: append([]byte(nil), raw...), wall: wall, mono: r.at(wall)})
		p = rest
	}
	return nil
}

// restoreValue keeps v, unless it does not count any more. Lock held on entry.
func (l *Log) restoreValue(v value) {
	if !l.o.LastValues || v.sequence < l.floor {
		l.carried.void = true
		return
	}
	name := string(topicOf(v.raw))
	t := l.topics.byName[name]
	if t == nil {
		t = l.topics.add(name)
		l.valued++
	} else if t.kept != nil {
		l.values.remove(t.kept)
	}
	t.last, v.topic = v.sequence, t
	l.values.push(&v)
	l.enforce()
}
