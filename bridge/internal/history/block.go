package history

import (
	"encoding/binary"
	"slices"
	"sort"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// block is a run of records with consecutive sequences. Bytes and records are only ever appended
// to, so a copy of the struct can be read without the lock of the log, also after the log has
// dropped the block.
type block struct {
	base    uint64 // sequence of the first record
	mono    int64  // what record.time is added to: milliseconds of the log's clock,
	wall    int64  // and the same moment as Unix time in milliseconds
	bytes   []byte
	records []record
}

// record is one message, or a control record of the log.
type record struct {
	end   uint32 // of its bytes in the block
	topic uint32 // id of its topic; control for a control record
	prev  uint32 // how many records ago the previous message of its topic is; 0: not in the log
	time  uint32 // milliseconds since the block's
}

const (
	recordSize   = 16 // of a record in memory
	control      = ^uint32(0)
	far          = uint64(^uint32(0)) // record.prev: at least as many
	minBlock     = 4 << 10
	maxBlock     = 1 << 20
	blocks       = 64  // how many blocks a full log has at least
	maxClockSkew = 100 // milliseconds between the times of a block and the wall clock
)

// blockBytes returns the size of the blocks of a log with this bound.
func blockBytes(bound int64) int { return int(min(max(bound/blocks, minBlock), maxBlock)) }

// end returns the sequence of the record that would be appended.
func (b *block) end() uint64 { return b.base + uint64(len(b.records)) }

func (b *block) start(i int) int {
	if i == 0 {
		return 0
	}
	return int(b.records[i-1].end)
}

// raw returns the bytes of record i.
func (b *block) raw(i int) []byte {
	end := b.records[i].end
	return b.bytes[b.start(i):end:end]
}

func (b *block) monoTime(i int) int64 { return b.mono + int64(b.records[i].time) }
func (b *block) wallTime(i int) int64 { return b.wall + int64(b.records[i].time) }

// seal returns b without much unused memory.
func (b block) seal() *block {
	if spare := cap(b.bytes) - len(b.bytes); spare > len(b.bytes)/16 {
		b.bytes = slices.Clone(b.bytes)
	}
	if spare := cap(b.records) - len(b.records); spare > len(b.records)/16 {
		b.records = append(make([]record, 0, len(b.records)), b.records...)
	}
	return &b
}

// ref is a block of a list that is searched.
type ref struct {
	base uint64
	*block
}

// view is a log at one moment. It can be read without the lock.
type view struct {
	sealed     []ref // does not change
	active     block
	first, end uint64            // sequences of the records that are kept: first ≤ s < end
	forgotten  map[string]uint64 // does not change; Log.forgotten
	outages    []uint64          // does not change; Log.outages
}

// find returns the block with the first record at or after sequence, which is before the end of
// the view, and the index of that record.
func (v *view) find(sequence uint64) (*block, int) {
	i := sort.Search(len(v.sealed), func(i int) bool { return v.sealed[i].base > sequence })
	b := &v.active
	if i > 0 && sequence < v.sealed[i-1].end() {
		b = v.sealed[i-1].block
	} else if i < len(v.sealed) {
		b = v.sealed[i].block // sequence is in a hole before it
	}
	if sequence < b.base {
		return b, 0
	}
	return b, int(sequence - b.base)
}

// appendMessage appends the encoding of m: each frame after its length as a uvarint.
func appendMessage(dst []byte, m zmtp.Message) []byte {
	for _, f := range m {
		dst = binary.AppendUvarint(dst, uint64(len(f)))
		dst = append(dst, f...)
	}
	return dst
}

// messageSize returns how many bytes appendMessage appends.
func messageSize(m zmtp.Message) int {
	n := 0
	for _, f := range m {
		n += uvarintSize(uint64(len(f))) + len(f)
	}
	return n
}

func uvarintSize(n uint64) (size int) {
	for size = 1; n >= 0x80; size++ {
		n >>= 7
	}
	return size
}

// frame returns the first frame of an encoded message, and the rest. ok is false where p does not
// begin with a frame.
func frame(p []byte) (f, rest []byte, ok bool) {
	size, n := binary.Uvarint(p)
	if n <= 0 || size > uint64(len(p)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return p[n:end:end], p[end:], true
}

// topicOf returns the topic of an encoded message.
func topicOf(raw []byte) []byte {
	topic, _, _ := frame(raw)
	return topic
}

// validMessage reports whether raw is what appendMessage makes of a message with frames.
func validMessage(raw []byte) bool {
	for ok := true; len(raw) > 0; {
		if _, raw, ok = frame(raw); !ok {
			return false
		}
	}
	return true
}
