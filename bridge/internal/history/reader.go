package history

import (
	"slices"
	"sort"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Entry is one message of a reader or a snapshot. Its bytes are not changed by the log and stay
// valid; an entry keeps the block of the log that it is in alive.
type Entry struct {
	After Position // the position after the message
	Time  time.Time
	// Gap is set for what is not a message, but a place at which messages may be missing that have
	// not reached the bridge (Reader.TellGaps).
	Gap bool
	raw []byte
}

// Frames appends the frames of the message to dst. They must not be changed.
func (e Entry) Frames(dst zmtp.Message) zmtp.Message {
	for p := e.raw; len(p) > 0; {
		f, rest, ok := frame(p)
		if !ok {
			return dst
		}
		dst, p = append(dst, f), rest
	}
	return dst
}

// Topic returns the first frame of the message. It must not be changed.
func (e Entry) Topic() []byte { return topicOf(e.raw) }

// Size returns the number of bytes that the message takes in the log.
func (e Entry) Size() int { return len(e.raw) }

// Resumed is what a client that resumes has to know.
type Resumed struct {
	// Recovered reports that everything that matches and follows the position is kept.
	Recovered bool
	// Gap reports that messages may have been missed by the log itself since the position: the
	// bridge was restarted, a backend was lost, or a message could not be kept.
	Gap bool
}

// Reader reads a log from a position on. One goroutine at a time uses it; it needs no Close.
type Reader struct {
	log   *Log
	match *Match
	next  uint64 // sequence of the record to look at
	cut   uint64 // 0: none
	fresh bool   // Next has not been called

	// While some is not empty, next is its first, and all that matches before someEnd is in it.
	some    []uint64
	someEnd uint64
	lost    uint64

	tells bool   // Next returns gaps,
	told  uint64 // but not those up to this sequence
}

// Resume returns a reader of what matches and follows at. If that is not kept completely, the
// reader begins with the oldest of what is. It is quick: the work is left to the reader.
func (l *Log) Resume(at Position, match *Match) (*Reader, Resumed) {
	l.mu.Lock()
	from, known := l.locate(at)
	answer := Resumed{
		Recovered: known && l.covered(match.prefixes, from) && !l.skipped(match, from),
		Gap:       l.gapAfter(from),
	}
	l.mu.Unlock()
	return &Reader{log: l, match: match, next: from, fresh: true}, answer
}

// locate returns the sequence that a client at that position needs first, and reports whether
// everything from there on is kept. Lock held on entry, as in gapAfter.
func (l *Log) locate(at Position) (from uint64, ok bool) {
	for i, g := range l.generations {
		if g.id != at.Generation {
			continue
		}
		end, kept := l.end, l.end
		if i+1 < len(l.generations) {
			end = l.generations[i+1].first
			kept = l.keptBefore(end)
		}
		if at.Sequence > end {
			// The client has seen what was lost before it was stored.
			return max(end, l.first), false
		}
		return max(at.Sequence, l.first), at.Sequence >= l.first && at.Sequence <= kept
	}
	return l.first, false
}

// keptBefore returns the end of the records before the first one of a generation. In a copy that can be
// less than first: where another bridge has begun to write, sequences are left out, and those can have been
// used for messages that NATS has lost. A client that has seen any of them can have missed others. Lock held
// on entry.
func (l *Log) keptBefore(first uint64) uint64 {
	i := sort.Search(len(l.sealed), func(i int) bool { return l.sealed[i].base >= first })
	if !l.o.Replica || i == 0 { // what a store could not keep is known by its topics
		return first
	}
	if i == len(l.sealed) && l.active.base < first {
		return first
	}
	return min(l.sealed[i-1].end(), first)
}

// gapAfter reports whether something may be missing at or after the record of that sequence.
func (l *Log) gapAfter(sequence uint64) bool {
	n := len(l.gaps)
	return n > 0 && l.gaps[n-1] >= sequence
}

// Cut ends the reader at cut, a position that the log has had as its end: what follows comes live.
func (r *Reader) Cut(cut Position) { r.cut = cut.Sequence }

// TellGaps makes Next return the gaps behind after, in their places.
func (r *Reader) TellGaps(after Position) { r.tells, r.told = true, after.Sequence }

// Position returns how far the reader has read. A new reader can continue there.
func (r *Reader) Position() Position {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return Position{r.log.current().id, r.next}
}

// Behind returns how many records, of any topic, are between the reader and its end.
func (r *Reader) Behind() uint64 {
	end := r.cut
	if end == 0 {
		end = r.log.End().Sequence
	}
	return end - min(r.next, end)
}

// Lost returns how many records, at most, the log has dropped before the reader has read them, since
// the last call. Those of other topics can be among them.
func (r *Reader) Lost() uint64 {
	lost := r.lost
	r.lost = 0
	return lost
}

// scanStep is how many records one step of a reader looks at.
const scanStep = 4096

// Next appends the next entries to dst, until they have at least max bytes or enough work is done
// for one step; a step can find nothing. It does not block. more reports that the reader has not
// reached its cut yet or, without one, the end of the log.
func (r *Reader) Next(dst []Entry, max int) (entries []Entry, more bool) {
	from, before := r.next, len(dst)
	if r.fresh {
		r.fresh = false
		if n := r.Behind(); n > wide {
			r.narrow(r.next+n, int(min(n/costOfPick, maxPicks)))
		}
	}
	r.log.mu.Lock()
	v := r.log.view()
	generation := r.log.current().id
	r.log.mu.Unlock()
	end := v.end
	if r.cut != 0 {
		end = min(end, r.cut)
	}
	s := reading{v: &v, generation: generation, end: end, max: max, left: scanStep}
	for r.next < end && s.left > 0 && s.max > 0 {
		if r.next < v.first {
			r.skipTo(v.first)
			continue
		}
		if len(r.some) > 0 {
			dst = r.pick(dst, &s)
		} else {
			dst = r.scan(dst, &s)
		}
	}
	if n := len(v.outages); r.tells && n > 0 && v.outages[n-1] > from {
		dst = r.withGaps(dst, before, &v, from, generation)
	}
	return dst, r.next < end
}

// withGaps inserts the gaps between from and r.next into dst[before:].
func (r *Reader) withGaps(dst []Entry, before int, v *view, from, generation uint64) []Entry {
	i, _ := slices.BinarySearch(v.outages, max(from, r.told)+1)
	for at := before; i < len(v.outages) && v.outages[i] <= r.next; i++ {
		gap := Entry{After: Position{generation, v.outages[i]}, Gap: true}
		for at < len(dst) && dst[at].After.Sequence <= gap.After.Sequence {
			at++
		}
		dst = slices.Insert(dst, at, gap)
	}
	return dst
}

// skipTo continues at first, the oldest record that is kept.
func (r *Reader) skipTo(first uint64) {
	if len(r.some) == 0 {
		r.lost += first - r.next
		r.next = max(first, r.someEnd)
		return
	}
	for len(r.some) > 0 && r.some[0] < first {
		r.some = r.some[1:]
		r.lost++
	}
	if r.next = max(first, r.someEnd); len(r.some) > 0 {
		r.next = r.some[0]
	}
}

// reading is the work of one call of Next.
type reading struct {
	v          *view
	generation uint64
	end        uint64
	max        int // bytes that can be appended
	left       int // records that can be looked at
}

// entry returns record i of b.
func (s *reading) entry(b *block, i int) Entry {
	raw := b.raw(i)
	s.max -= len(raw)
	return Entry{After: Position{s.generation, b.base + uint64(i) + 1}, Time: time.UnixMilli(b.wallTime(i)), raw: raw}
}

// pick appends the entries of r.some.
func (r *Reader) pick(dst []Entry, s *reading) []Entry {
	for len(r.some) > 0 && r.some[0] < s.end && s.left > 0 && s.max > 0 {
		s.left -= 4
		b, i := s.v.find(r.some[0])
		if !s.v.hidden(b, i) {
			dst = append(dst, s.entry(b, i))
		}
		if r.some = r.some[1:]; len(r.some) > 0 {
			r.next = r.some[0]
			continue
		}
		r.next = r.someEnd
	}
	if len(r.some) > 0 && r.some[0] >= s.end {
		r.next = s.end
	}
	return dst
}

// scan appends what matches of one block.
func (r *Reader) scan(dst []Entry, s *reading) []Entry {
	b, i := s.v.find(r.next)
	for ; i < len(b.records) && b.base+uint64(i) < s.end && s.left > 0 && s.max > 0; i++ {
		s.left--
		if b.records[i].topic != control && r.match.Matches(topicOf(b.raw(i))) && !s.v.hidden(b, i) {
			dst = append(dst, s.entry(b, i))
		}
	}
	r.next = b.base + uint64(i)
	return dst
}

// hidden reports whether the topic of record i of b was forgotten after it.
func (v *view) hidden(b *block, i int) bool {
	return len(v.forgotten) > 0 && b.base+uint64(i) < v.forgotten[string(topicOf(b.raw(i)))]
}
