package fanout

import (
	"errors"
	"maps"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
)

// ErrLeft: the member has left the hub.
var ErrLeft = errors.New("the client has left")

// Filter tells whether a member may have a message that its subscriptions match. It is
// needed only where a right is narrower than the prefix that was subscribed to. Members
// whose Filter is the same (==) may share a group, so the values of a Filter's type must
// be comparable.
type Filter interface {
	// Allows must be quick, must not block, and must answer the same for the same topic.
	Allows(topic []byte) bool
}

// Queue is what a member's messages are put into: a *queue.Queue.
type Queue interface {
	// PutRange queues messages of c. It does not block.
	PutRange(c *queue.Chunk, from, to int) error
}

// MemberOptions say what a member gets.
type MemberOptions struct {
	// Codec is the one that the queue was made with.
	Codec queue.Codec
	// Filter narrows what the subscriptions match; nil lets all of it pass.
	Filter Filter
}

// Member is a client of a hub. All methods may be called concurrently.
type Member struct {
	hub   *Hub
	queue Queue

	group *group // nil once it has left. Guarded by hub.mu, as is at
	at    int    // its place in group.members
}

// Join makes a member that wants nothing yet. Its messages go to q. The caller ends it with
// Leave.
func (h *Hub) Join(q Queue, o MemberOptions) *Member {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &Member{hub: h, queue: q}
	h.members++
	h.enter(m, groupKey{lane: h.lane(o.Codec), filter: o.Filter}, nil)
	return m
}

// Subscribe adds topic to the member's set; one that is there already changes nothing. From
// its return on, every message that comes from upstream and begins with topic is delivered.
// How many topics there may be is the caller's to bound. The error is ErrLeft.
func (m *Member) Subscribe(topic []byte) error {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.group == nil {
		return ErrLeft
	}
	s := h.trie.get(topic)
	if s != nil {
		if _, there := m.group.subscriptions[s]; there {
			return nil
		}
	}
	h.deliver()
	if s == nil {
		s = h.newSubscription(topic)
	}
	key := m.group.groupKey
	key.topics = key.topics.plus(s.hash)
	h.move(m, key, s, nil)
	h.wants(s)
	return nil
}

// Cancel takes topic out of the member's set; one that is not there changes nothing. No
// message that matched only this subscription is delivered after its return.
func (m *Member) Cancel(topic []byte) {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.trie.get(topic)
	if s == nil || m.group == nil {
		return
	}
	if _, there := m.group.subscriptions[s]; !there {
		return
	}
	h.deliver()
	key := m.group.groupKey
	key.topics = key.topics.minus(s.hash)
	h.move(m, key, nil, s)
	h.unwanted(s)
}

// Leave ends the member. Nothing is put into its queue after its return.
func (m *Member) Leave() {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.group == nil {
		return
	}
	h.deliver()
	h.members--
	h.quit(m)
}

// Restrict replaces the member's Filter from the next message on.
func (m *Member) Restrict(f Filter) {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.group == nil || m.group.filter == f {
		return
	}
	h.deliver()
	key := m.group.groupKey
	key.filter = f
	h.move(m, key, nil, nil)
}

// move puts m into the group of key, whose set is that of m's with added and without
// removed (nil: none). Alone in its group, and the first with this key, it changes the
// group instead.
func (h *Hub) move(m *Member, key groupKey, added, removed *subscription) {
	old := m.group
	if h.groups[key] == nil && len(old.members) == 1 {
		delete(h.groups, old.groupKey)
		old.groupKey = key
		h.groups[key] = old
		if added != nil {
			old.subscribe(added)
		}
		if removed != nil {
			old.cancel(removed)
		}
		return
	}
	var set map[*subscription]int
	if h.groups[key] == nil {
		set = maps.Clone(old.subscriptions)
		delete(set, removed)
		if added != nil {
			set[added] = 0
		}
	}
	h.quit(m)
	h.enter(m, key, set)
}

// enter puts m into the group of that key, which is made with this set if there is none.
func (h *Hub) enter(m *Member, key groupKey, set map[*subscription]int) {
	g := h.groups[key]
	if g == nil {
		g = newGroup(key)
		h.groups[key] = g
		h.lanes[key.lane.codec] = key.lane
		key.lane.groups++
		for s := range set {
			g.subscribe(s)
		}
	}
	g.join(m)
}

// quit takes m out of its group, and ends the group with its last member.
func (h *Hub) quit(m *Member) {
	g := m.group
	g.leave(m)
	if len(g.members) > 0 {
		return
	}
	for s := range g.subscriptions {
		g.cancel(s)
		h.unwanted(s)
	}
	delete(h.groups, g.groupKey)
	if g.lane.groups--; g.lane.groups == 0 {
		delete(h.lanes, g.lane.codec)
	}
}

// lane is the one of codec, made if it is the first.
func (h *Hub) lane(codec queue.Codec) *lane {
	l := h.lanes[codec]
	if l == nil {
		l = &lane{codec: codec}
		h.lanes[codec] = l
	}
	return l
}
