package fanout

import (
	"errors"
	"maps"
	"slices"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
)

// ErrLeft reports that the member has left the hub.
var ErrLeft = errors.New("the client has left")

var errNoFilter = errors.New("fanout: a filtered subscription of a member without a Filter")

// Filter decides which of the messages that a member's subscriptions match it receives. It
// is needed where a right is narrower than the prefix that was subscribed to. Members with
// the same Filter (==) can share a group, so its dynamic type must be comparable.
type Filter interface {
	// Allows reports whether a message with this topic may be delivered. It must be quick
	// and must not block.
	Allows(topic []byte) bool
}

// Queue receives a member's messages (*queue.Queue).
type Queue interface {
	// PutRange queues the messages from, from+1, … to-1 of c. It must not block.
	PutRange(c *queue.Chunk, from, to int) error
	// AddRange is PutRange, except that it leaves writing to the caller: if write is true, it calls
	// Write without a lock.
	AddRange(c *queue.Chunk, from, to int) (write bool, err error)
	Write()
	// Missed reports n messages that were lost before they could be put. It must not block.
	Missed(n uint64)
	// These are used where the hub has a log. They must not block or call the hub.
	SetBacklog(b queue.Backlog)
	FallBehind()
	Behind() bool
	Holds() (behind, messages bool)
	CaughtUp() (skipped uint64)
	Skipped() uint64
	Lose(n uint64)
	Missing() []byte
	Refresh()
	Idle() bool
	Given(dst []byte) []byte
	Insert(p queue.Puller) error
	Gap(at []byte)
}

// MemberOptions configure a member.
type MemberOptions struct {
	// Codec is that of the member's queue.
	Codec queue.Codec
	// Filter is applied from the member's first filtered subscription on. Until then the
	// member shares its messages with all others that have the same subscriptions. It may be
	// nil if no subscription is filtered.
	Filter Filter
	// Follow is set if the hub has a log and the client keeps positions of it. It is told from time
	// to time how far it has everything, so that its position does not age while its topics are
	// quiet.
	Follow bool
}

// Member is a client of a hub. All methods may be called concurrently.
type Member struct {
	hub    *Hub
	queue  Queue
	filter Filter // that filtered subscriptions need

	// Guarded by hub.mu.
	group *group // nil after Leave or Forget
	at    int    // index in group.members

	*recovery
}

// recovery is what a member has that the hub's log is for, guarded by hub.mu as well. Members of a
// hub without a log share one that is never used.
type recovery struct {
	since   *history.Position // from where it resumes, until its writer begins to read
	matches *history.Match    // of the subscriptions without those in steps; nil if they have changed
	steps   []step            // since its queue has fallen behind
	recent  []step            // subscriptions made while its queue held messages that it can leave to the log
	greet   bool              // the client is to be told what was recovered
	follower
}

// Join adds a member without subscriptions whose messages go to q. The caller ends it with
// Leave.
func (h *Hub) Join(q Queue, o MemberOptions) *Member {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &Member{hub: h, queue: q, filter: o.Filter, recovery: &h.unused}
	h.members++
	if h.log != nil {
		m.recovery = new(recovery)
		q.SetBacklog(m)
	}
	h.enter(m, groupKey{lane: h.lane(o.Codec)}, nil)
	if o.Follow {
		h.follow(m)
	}
	return m
}

// Subscribe adds topic to the member's set; a topic that is in it already stays. From its
// return on, every message from upstream that begins with topic is delivered. filtered turns
// the member's Filter on, for all of its subscriptions and for good. The caller limits the
// number of topics. Errors: [ErrLeft], and filtered without a Filter.
func (m *Member) Subscribe(topic []byte, filtered bool) error {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	added, err := m.subscribe(topic, filtered, true)
	if added && h.lastValues {
		err = m.last(topic)
	}
	m.began()
	return err
}

// subscribe implements Subscribe, without last values. fresh is set unless the client has had this
// subscription before. Lock held on entry.
func (m *Member) subscribe(topic []byte, filtered, fresh bool) (added bool, err error) {
	h := m.hub
	if m.group == nil {
		return false, ErrLeft
	}
	if filtered && m.filter == nil {
		return false, errNoFilter
	}
	if filtered && m.group.filter == nil {
		h.deliver()
		key := m.group.groupKey
		key.filter = m.filter
		h.move(m, key, nil, nil)
	}
	s := h.trie.get(topic)
	if s != nil {
		if _, there := m.group.subscriptions[s]; there {
			return false, nil
		}
	}
	h.deliver()
	if s == nil {
		s = h.newSubscription(topic)
	}
	if h.log != nil {
		m.stepped(step{cut: h.log.End(), topic: s.topic, added: true})
	}
	key := m.group.groupKey
	key.topics = key.topics.plus(s.hash)
	h.move(m, key, s, nil)
	m.matches = nil
	s.fresh = s.fresh || fresh
	h.subscribed(s)
	return true, nil
}

// Unsubscribe removes topic from the member's set; a topic that is not in it changes
// nothing. No message that matched only this subscription is delivered after its return.
func (m *Member) Unsubscribe(topic []byte) {
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
	m.forgetSteps(topic)
	m.matches = nil
	h.unsubscribed(s)
}

// Leave removes the member from the hub. After its return nothing is put into its queue. It
// may be called more than once.
func (m *Member) Leave() {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	m.leave()
}

// Forget is Leave, but no subscription is kept upstream that only this member had.
func (m *Member) Forget() {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	var left []*subscription
	if m.group != nil && len(m.group.members) == 1 {
		left = slices.Collect(maps.Keys(m.group.subscriptions))
	}
	m.leave()
	for _, s := range left {
		if s.lingering != nil {
			h.endLinger(s)
			h.mark(s)
		}
	}
}

// leave removes m from the hub. Lock held on entry, as in the functions below.
func (m *Member) leave() {
	if m.group == nil {
		return
	}
	m.hub.deliver()
	m.hub.members--
	m.hub.unfollow(m)
	m.hub.quit(m)
}

// move moves m to the group of key, whose set is that of m's group with added and without
// removed (nil: none). If m is alone in its group and no other has that key, the
// group itself changes.
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
			old.unsubscribe(removed)
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

// enter adds m to the group of that key. If there is none, it is made with this set.
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

// quit removes m from its group, which ends with its last member.
func (h *Hub) quit(m *Member) {
	g := m.group
	g.leave(m)
	if len(g.members) > 0 {
		return
	}
	for s := range g.subscriptions {
		g.unsubscribe(s)
		h.unsubscribed(s)
	}
	delete(h.groups, g.groupKey)
	if g.lane.groups--; g.lane.groups == 0 {
		delete(h.lanes, g.lane.codec)
	}
}

// lane returns the lane of codec.
func (h *Hub) lane(codec queue.Codec) *lane {
	l := h.lanes[codec]
	if l == nil {
		l = &lane{codec: codec}
		h.lanes[codec] = l
	}
	return l
}
