package fanout

import (
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
	if h.keeping = len(topics) > 0; h.keeping {
		h.end = h.log.End()
	}
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
		}
	}
}

// keep gives m to the log and returns its position; nil if the log does not keep it. Lock held on
// entry, as in the functions below that say nothing else.
func (h *Hub) keep(m zmtp.Message) []byte {
	if !h.keeping {
		return nil
	}
	at := h.log.Append(m)
	if at == h.end {
		return nil
	}
	h.end = at
	p, _ := at.AppendBinary(h.at[:0])
	return p
}

// Resume subscribes to topics, and gives the member what its log has kept of them after at, then
// what comes live. The client is told whether anything is missing if greet is set. It is called
// before the first Subscribe. Errors are those of Subscribe.
func (m *Member) Resume(at []byte, greet, filtered bool, topics ...[]byte) error {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver()
	for _, topic := range topics {
		if _, err := m.subscribe(topic, filtered); err != nil {
			return err
		}
	}
	if len(at) == 0 {
		at = make([]byte, history.PositionSize) // it has seen nothing
	}
	m.greet = greet
	m.queue.FallBehind(at)
	return nil
}

// SubscribeLast is Subscribe for a client that also wants the last values that begin with topic:
// the messages that came before, the newest of each topic.
func (m *Member) SubscribeLast(topic []byte, filtered bool) error {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver()
	if _, err := m.subscribe(topic, filtered); err != nil {
		return err
	}
	return m.last(topic)
}

// last queues the last values that begin with topic.
func (m *Member) last(topic []byte) error {
	match := history.NewMatch([][]byte{topic}, nil)
	if m.queue.Behind() {
		m.steps = append(m.steps, step{cut: m.hub.log.End(), before: m.match(), last: match})
		return nil
	}
	return m.queue.Insert(&values{reading{member: m}, m.hub.log.Last(match, m.hub.log.End())})
}

// match returns what selects the messages of the member's subscriptions.
func (m *Member) match() *history.Match {
	if m.matches == nil {
		topics := make([][]byte, 0, len(m.group.subscriptions))
		for s := range m.group.subscriptions {
			topics = append(topics, s.topic)
		}
		m.matches = history.NewMatch(topics, nil)
	}
	return m.matches
}

// step is a place in the log at which a member that reads it has subscribed: up to there, only
// what matched before counts.
type step struct {
	cut    history.Position
	before *history.Match
	last   *history.Match // topics whose last values it wants there; nil for none
}

// After implements queue.Backlog.
func (m *Member) After(at []byte) queue.Puller {
	c := &catchUp{reading: reading{member: m}}
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if at == nil {
		c.at = m.joined // the queue was full before it had a message of the log
	} else {
		_ = c.at.UnmarshalBinary(at) // an unknown position is the zero one, which has missed something
	}
	c.greet, m.greet = m.greet, false
	c.live = c.greet
	return c
}

// reading is what readers of a log have in common: entries that were read and not yet given.
type reading struct {
	member  *Member
	entries []history.Entry
	next    int
	frames  zmtp.Message
	match   *history.Match // the subscriptions as they are now, with filter
	filter  Filter
}

// stepBytes is how much is read from the log at once.
const stepBytes = 16 << 10

// give appends what is left of the entries as far as b has room, and reports whether all was.
func (r *reading) give(b queue.Batch) (all bool) {
	for ; r.next < len(r.entries) && !b.Full(); r.next++ {
		e := &r.entries[r.next]
		if topic := e.Topic(); r.match.Matches(topic) && (r.filter == nil || r.filter.Allows(topic)) {
			r.frames = e.Frames(r.frames[:0])
			var at [history.PositionSize]byte
			p, _ := e.After.AppendBinary(at[:0])
			_ = b.Replayed(r.frames, p, e.Time) // an error ends the stream
		}
	}
	return r.next == len(r.entries)
}

// took makes entries what is given next.
func (r *reading) took(entries []history.Entry) {
	h := r.member.hub
	r.entries, r.next = entries, 0
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.member.group != nil {
		r.match, r.filter = r.member.match(), r.member.group.filter
	}
}

// values gives last values to a queue that takes live messages.
type values struct {
	reading
	snapshot *history.Snapshot
}

// Next implements queue.Puller.
func (v *values) Next(b queue.Batch) (done bool) {
	for more := true; ; {
		if !v.give(b) {
			return false
		}
		if !more {
			return true
		}
		var entries []history.Entry
		entries, more = v.snapshot.Next(v.entries[:0], stepBytes)
		v.took(entries)
	}
}
