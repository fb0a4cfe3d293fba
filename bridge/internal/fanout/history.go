package fanout

import (
	"bytes"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Keep makes the hub write what it receives to its log, and subscribes it upstream to topics,
// which are those of the log, and no longer to those of the last call. With none the hub writes
// nothing any more.
func (h *Hub) Keep(topics [][]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver()
	h.keeping = len(topics) > 0
	for _, s := range h.pinned {
		s.pinned = false
	}
	old := h.pinned
	h.pinned = nil
	for _, topic := range topics {
		s := h.trie.get(topic)
		if s == nil {
			s = h.newSubscription(topic)
		}
		s.pinned = true
		h.pinned = append(h.pinned, s)
		h.subscribed(s)
	}
	for _, s := range old {
		if !s.pinned {
			h.unsubscribed(s)
			h.uncovered = true
		}
	}
	if h.uncovered {
		h.uncover()
	}
}

// keep gives m to the log and returns its position; nil if the log does not keep it. Lock held on
// entry, as in the functions below that say nothing else.
func (h *Hub) keep(m zmtp.Message) []byte {
	if !h.keeping {
		return nil
	}
	at, kept := h.log.Append(m)
	if !kept {
		return nil
	}
	p, _ := at.AppendBinary(h.at[:0])
	return p
}

// Resume subscribes to topics, and gives the member what its log has kept of them after at, then
// what comes live. The client is told whether anything is missing if greet is set. It is called
// before the first Subscribe; the caller wakes the client's writer after it. Errors are those of
// Subscribe.
func (m *Member) Resume(at []byte, greet, filtered bool, topics ...[]byte) error {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver()
	m.since, m.greet = new(history.Position), greet
	_ = m.since.UnmarshalBinary(at) // an unknown position, or none, is the zero one: it has seen nothing
	fresh := !h.log.Has(*m.since)
	for _, topic := range topics {
		if _, err := m.subscribe(topic, filtered, fresh); err != nil {
			return err
		}
	}
	m.queue.FallBehind()
	return nil
}

// SubscribeLast is Subscribe for a client that also wants the last values that begin with topic:
// the messages that came before, the newest of each topic.
func (m *Member) SubscribeLast(topic []byte, filtered bool) error {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver()
	if _, err := m.subscribe(topic, filtered, true); err != nil {
		return err
	}
	err := m.last(topic)
	m.began()
	return err
}

// last queues the last values that begin with topic.
func (m *Member) last(topic []byte) error {
	end := m.hub.log.End()
	if m.queue.Behind() {
		// What it has asked for and not got yet would be older. A client that asks again and
		// again must not take memory.
		m.steps = slices.DeleteFunc(m.steps, func(s step) bool { return !s.added && bytes.Equal(s.topic, topic) })
		m.steps = append(m.steps, step{cut: end, topic: bytes.Clone(topic)})
		return nil
	}
	return m.queue.Insert(&values{reading{member: m}, m.hub.log.Last(history.NewMatch([][]byte{topic}, nil), end)})
}

// match returns what selects the messages of the member's subscriptions, as far as they were made
// before what its writer reads now.
func (m *Member) match() *history.Match {
	if m.matches == nil {
		later := make(map[string]bool, len(m.steps))
		for _, s := range m.steps {
			later[string(s.topic)] = later[string(s.topic)] || s.added
		}
		topics := make([][]byte, 0, len(m.group.subscriptions))
		for s := range m.group.subscriptions {
			if !later[string(s.topic)] {
				topics = append(topics, s.topic)
			}
		}
		m.matches = history.NewMatch(topics, nil)
	}
	return m.matches
}

// step is a place in the log at which a member whose writer reads it has subscribed to topic, or
// has asked for the last values of it. A topic has at most one of each, so that the subscriptions
// bound them.
type step struct {
	cut   history.Position
	topic []byte
	added bool // up to the cut, the subscription to topic does not count; else: last values
}

// forgetSteps removes the steps of a topic that the member has unsubscribed from.
func (m *Member) forgetSteps(topic []byte) {
	is := func(s step) bool { return bytes.Equal(s.topic, topic) }
	m.steps, m.recent = slices.DeleteFunc(m.steps, is), slices.DeleteFunc(m.recent, is)
}

// stepped notes that the member has subscribed to a topic, if its writer reads the log before that, or
// can have to.
func (m *Member) stepped(s step) {
	switch behind, messages := m.queue.Holds(); {
	case behind:
		m.steps = append(m.steps, s)
	case messages:
		m.recent = append(m.recent, s)
	default:
		m.recent = nil
	}
}

// takeRecent makes the recent steps that are after at the first of those since the queue has fallen
// behind.
func (m *Member) takeRecent(at history.Position) {
	before := func(s step) bool { return s.cut.Sequence <= at.Sequence }
	if recent := slices.DeleteFunc(m.recent, before); len(recent) > 0 {
		m.steps, m.matches = append(recent, m.steps...), nil
	}
	m.recent = nil
}

// CatchUp implements queue.Backlog.
func (m *Member) CatchUp() queue.Puller {
	c := &catchUp{reading: reading{member: m}}
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver()
	resumes := m.since != nil
	switch first := m.queue.Missing(); {
	case resumes:
		c.at, m.since = *m.since, nil
	case c.at.UnmarshalBinary(first) == nil:
		c.at.Sequence-- // a position is behind its message
	default:
		c.at = h.log.End()
	}
	m.takeRecent(c.at)
	c.counted = !resumes
	c.greet, m.greet = m.greet, false
	return c
}

// reading is what readers of a log have in common: entries that were read and not yet given.
type reading struct {
	member  *Member
	entries []history.Entry
	next    int
	given   uint64 // messages
	frames  zmtp.Message
	match   *history.Match // the subscriptions as they are now, with filter
	filter  Filter
	told    bool // the client was told that messages are missing, and not yet that what follows is live
}

// stepBytes is how much is read from the log at once.
const stepBytes = 16 << 10

// give appends what is left of the entries as far as b has room, and reports whether all was.
func (r *reading) give(b queue.Batch) (all bool) {
	before := r.given
	for ; r.next < len(r.entries) && !b.Full(); r.next++ {
		e := &r.entries[r.next]
		if e.Gap {
			if !r.match.Empty() {
				r.resumed(b, e.After, history.Resumed{Recovered: true, Gap: true})
			}
			continue
		}
		if topic := e.Topic(); r.match.Matches(topic) && (r.filter == nil || r.filter.Allows(topic)) {
			r.frames = e.Frames(r.frames[:0])
			var at [history.PositionSize]byte
			p, _ := e.After.AppendBinary(at[:0])
			_ = b.Replayed(r.frames, p, e.Time) // an error ends the stream
			r.given++
		}
	}
	if f := r.member.hub.replayed; f != nil && r.given > before {
		f(int(r.given - before))
	}
	return r.next == len(r.entries)
}

// resumed tells the client what is missing before at.
func (r *reading) resumed(b queue.Batch, at history.Position, what history.Resumed) {
	r.told = true
	p, _ := at.AppendBinary(nil)
	_ = b.Resumed(p, what.Recovered, what.Gap) // an error ends the stream
}

// entryCost is about what an entry that was read takes, beside its bytes.
const entryCost = 96

// Held implements queue.Puller.
func (r *reading) Held() (bytes int64) {
	for i := r.next; i < len(r.entries); i++ {
		bytes += int64(r.entries[i].Size()) + entryCost
	}
	return bytes
}

// took makes entries what is given next. Hub.mu is held on entry.
func (r *reading) took(entries []history.Entry) {
	r.entries, r.next = entries, 0
	r.recheck()
}

// recheck makes what was read and not given subject to the subscriptions of now. Hub.mu is held on
// entry.
func (r *reading) recheck() {
	if r.member.group == nil { // it has left
		r.entries, r.next = nil, 0
		return
	}
	r.match, r.filter = r.member.match(), r.member.group.filter
}

// resume begins a batch: the subscriptions can have changed since the last one.
func (r *reading) resume() {
	if r.next == len(r.entries) {
		return
	}
	r.member.hub.mu.Lock()
	defer r.member.hub.mu.Unlock()
	r.recheck()
}

// values gives last values to a queue that takes live messages.
type values struct {
	reading
	snapshot *history.Snapshot
}

// Next implements queue.Puller.
func (v *values) Next(b queue.Batch) (done bool) {
	v.resume()
	for more := true; ; {
		if !v.give(b) {
			return false
		}
		if !more {
			return true
		}
		var entries []history.Entry
		entries, more = v.snapshot.Next(v.entries[:0], stepBytes)
		v.member.hub.mu.Lock()
		v.took(entries)
		v.member.hub.mu.Unlock()
	}
}
