package history

import (
	"encoding/binary"
	"time"
)

// Store keeps a log beyond the life of the process (filestore.Store). Load comes first. Write,
// Trim and Close are not called concurrently.
type Store interface {
	// Load calls carried for each piece that a Carrier has emitted and that still counts, then
	// batch for each batch, in the order of Write.
	Load(carried func(piece []byte) error, batch func(Batch) error) error
	// Write appends a batch. When it returns nil, the batch survives the end of the process. After
	// an error nothing of it is kept, and Write can be called again with a later batch.
	Write(b Batch) error
	// Trim reports that the log has dropped everything before first. The store can delete it,
	// once it has asked c what outlives it. It must not wait for that.
	Trim(first uint64, c Carrier)
	// Close waits until everything is stored for good. The Carrier is not called after it.
	Close() error
}

// Batch is a run of records.
type Batch struct {
	First uint64 // sequence of its first record
	Count int
	Data  []byte
}

// Carrier has what a log keeps longer than its records: last values and generations. Its methods
// are called from any goroutine.
type Carrier interface {
	// Carry emits, in pieces that Store.Load returns later, what records before the sequence
	// before leave behind, except last values before the sequence since, which were emitted
	// earlier.
	Carry(since, before uint64, emit func(piece []byte) error) error
	// Carried returns the number of bytes that Carry(0, …) would emit. void reports that pieces
	// emitted earlier have something that must not come back: the store has to replace them
	// by those of Carry(0, …), before the log's records that say so are deleted.
	Carried() (bytes int64, void bool)
}

// appendRecord appends a record of a batch: size and kind in a uvarint, the time if it is not that
// of the record before, and the bytes. A batch begins with the time of its first record.
func appendRecord(dst []byte, raw []byte, isControl bool, later int64) []byte {
	return append(appendHead(dst, len(raw), isControl, later), raw...)
}

// appendHead appends what precedes the bytes of a record of that size.
func appendHead(dst []byte, size int, isControl bool, later int64) []byte {
	head := uint64(size) << 2
	if isControl {
		head |= 1
	}
	if later != 0 {
		head |= 2
	}
	dst = binary.AppendUvarint(dst, head)
	if later != 0 {
		dst = binary.AppendVarint(dst, later)
	}
	return dst
}

// parseBatch calls f for each record of b.
func parseBatch(b Batch, f func(raw []byte, isControl bool, wall int64) error) error {
	wall, n := binary.Varint(b.Data)
	if n <= 0 {
		return errRecord
	}
	p := b.Data[n:]
	for range b.Count {
		head, n := binary.Uvarint(p)
		if n <= 0 {
			return errRecord
		}
		p = p[n:]
		if head&2 != 0 {
			later, n := binary.Varint(p)
			if n <= 0 {
				return errRecord
			}
			wall += later
			p = p[n:]
		}
		size, isControl := head>>2, head&1 != 0
		if size > uint64(len(p)) || size == 0 || size > maxRecord || !isControl && !validMessage(p[:size]) {
			return errRecord
		}
		if err := f(p[:size:size], isControl, wall); err != nil {
			return err
		}
		p = p[size:]
	}
	if len(p) > 0 {
		return errRecord
	}
	return nil
}

// batchBytes is the size at which a batch ends.
const batchBytes = 1 << 20

// encode appends the records from, from+1, … of v to dst, until it has batchBytes or to is
// reached.
func (v *view) encode(dst []byte, from, to uint64) Batch {
	s := from
	var wall int64
	for s < to && len(dst) < batchBytes {
		b, i := v.find(s)
		for ; i < len(b.records) && s < to && len(dst) < batchBytes; i++ {
			now := b.wallTime(i)
			if s == from {
				dst = binary.AppendVarint(dst, now)
				wall = now
			}
			dst = appendRecord(dst, b.raw(i), b.records[i].topic == control, now-wall)
			wall = now
			s++
		}
	}
	return Batch{First: from, Count: int(s - from), Data: dst}
}

// retryStore is how long a store that has failed is left alone.
const retryStore = time.Second

// flush writes what the store does not have yet.
func (l *Log) flush() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	l.tick()
	failed, retry, closed := l.state.Err, l.mono >= l.retry, l.closed
	v := l.view()
	from := max(l.written, l.first)
	l.batch = false
	l.mu.Unlock()
	switch {
	case closed || failed != nil && !retry:
		return failed
	case failed != nil:
		return l.tryAgain()
	}
	for from < v.end {
		b := v.encode(l.buffer[:0], from, v.end)
		l.buffer = b.Data
		if err := l.o.Store.Write(b); err != nil {
			l.fail(from, v.end, err)
			return err
		}
		from += uint64(b.Count)
	}
	if cap(l.buffer) > 2*batchBytes {
		l.buffer = nil
	}
	l.mu.Lock()
	l.written = v.end
	l.mu.Unlock()
	l.o.Store.Trim(v.first, carrier{l})
	return nil
}

// fail stops keeping messages. Those from from to end, which the store does not have, stay in memory,
// and their sequences are not used again.
func (l *Log) fail(from, end uint64, err error) {
	l.mu.Lock()
	l.missBatch(from, end)
	l.written = end
	l.retry = l.mono + retryStore.Milliseconds()
	began := l.state.Err == nil
	if l.state.Err = err; began {
		l.state.Since = time.UnixMilli(l.wall)
	}
	state := l.state
	l.mu.Unlock()
	if began && l.o.OnState != nil {
		l.o.OnState(state)
	}
}

// tryAgain tries to write that messages are missing, and what the store may have missed about the
// log itself. If that works, messages are kept again. While l.flushing is held, nothing else
// appends to a log whose store has failed.
func (l *Log) tryAgain() error {
	l.mu.Lock()
	end := l.end
	records := [][]byte{gapRecord("messages could not be stored"), l.startRecord()}
	if l.missed.all || len(l.missed.topics) > 0 {
		records = append(records, l.missed.voidRecord())
	}
	data := binary.AppendVarint(nil, l.wall)
	l.mu.Unlock()
	for _, raw := range records {
		data = appendRecord(data, raw, true, 0)
	}
	if err := l.o.Store.Write(Batch{First: end, Count: len(records), Data: data}); err != nil {
		l.fail(end, end, err)
		return err
	}
	l.mu.Lock()
	for _, raw := range records {
		l.control(raw)
	}
	l.batch = false
	l.written, l.missed = l.end, Missed{}
	l.state.Err, l.state.Since = nil, time.Time{}
	state := l.state
	l.mu.Unlock()
	if l.o.OnState != nil {
		l.o.OnState(state)
	}
	return nil
}

// trim lets the store delete what the log has dropped.
func (l *Log) trim() {
	if l.o.Store == nil {
		return
	}
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	first, closed := min(l.first, l.written), l.closed
	l.mu.Unlock()
	if !closed {
		l.o.Store.Trim(first, carrier{l})
	}
}
