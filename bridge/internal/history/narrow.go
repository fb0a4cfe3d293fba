package history

import "slices"

// A reader of few topics takes the way over the index of topics, where each record leads to the
// previous one of its topic. One of many topics, or of few records, looks at all of them.
const (
	wide       = 512  // records that are always scanned
	maxTopics  = 1024 // topics of which the records are collected
	costOfPick = 16   // how many records are scanned in the time in which one is collected
	maxPicks   = 8192 // records that are collected: 64 KiB
)

// narrow collects what matches between r.next and end, unless that is more than bound.
func (r *Reader) narrow(end uint64, bound int) {
	from := r.next
	last, ok := r.lastOf(from)
	if !ok {
		return
	}
	r.log.mu.Lock()
	v := r.log.view()
	r.log.mu.Unlock()
	var some []uint64
	for _, s := range last {
		if s < max(from, v.first) || !r.allows(&v, s) {
			continue
		}
		for s >= max(from, v.first) {
			b, i := v.find(s)
			if s < end {
				if len(some) == bound {
					return
				}
				some = append(some, s)
			}
			prev := uint64(b.records[i].prev)
			if prev == 0 || s < from+far && prev == far {
				break
			}
			if prev == far {
				return // before that a generation began, whose sequences are much higher
			}
			s -= prev
		}
	}
	if v.first > from {
		r.lost += v.first - from // also the topics that were removed meanwhile
	}
	slices.Sort(some)
	r.some, r.someEnd, r.next = some, end, end
	if len(some) > 0 {
		r.next = some[0]
	}
}

// allows reports whether the filter lets the message of that sequence pass.
func (r *Reader) allows(v *view, sequence uint64) bool {
	if r.match.filter == nil {
		return true
	}
	b, i := v.find(sequence)
	return r.match.filter.Allows(topicOf(b.raw(i)))
}

// lastOf returns the sequences of the newest messages, from the record from on, of the topics that
// match. ok is false if there are too many.
func (r *Reader) lastOf(from uint64) (last []uint64, ok bool) {
	w := walk{log: r.log, match: r.match}
	topics, looked := 0, 0
	for more := true; more; {
		r.log.mu.Lock()
		more = w.step(func(t *topic) bool {
			looked++
			if t.last >= max(from, r.log.first) && t.kept == nil {
				last = append(last, t.last)
				topics++
			}
			return topics <= maxTopics && looked <= 4*maxTopics
		})
		r.log.mu.Unlock()
		if topics > maxTopics || looked > 4*maxTopics {
			return nil, false
		}
	}
	return last, true
}

// walk visits the topics that begin with a prefix of match, in their order. Between two steps,
// topics can come and go.
type walk struct {
	log    *Log
	match  *Match
	prefix int    // index of the prefix
	pivot  string // the topic to begin with; "" for the prefix
}

// step calls f for up to step topics, until it returns false, and reports whether there are more.
// The filter is not applied. Lock held on entry.
func (w *walk) step(f func(t *topic) bool) (more bool) {
	n := 0
	for n < step && w.prefix < len(w.match.prefixes) {
		prefix := w.match.prefixes[w.prefix]
		done := true
		w.log.topics.ordered.Ascend(max(prefix, w.pivot), func(name string, t *topic) bool {
			if len(name) < len(prefix) || name[:len(prefix)] != prefix {
				return false
			}
			if n++; n > step || !f(t) {
				w.pivot, done = name, false
				return false
			}
			return true
		})
		if !done {
			return true
		}
		n++ // looking for a prefix is work as well
		w.prefix++
		w.pivot = ""
	}
	return w.prefix < len(w.match.prefixes)
}
