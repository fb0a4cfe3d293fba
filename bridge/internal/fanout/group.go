package fanout

import (
	"container/list"
	"hash/maphash"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// subscription is a topic that the hub is subscribed to upstream, or is about to be. The
// groups are its references.
type subscription struct {
	topic  []byte
	hash   setHash
	node   *node
	groups []*group

	pinned    bool          // the log keeps it
	fresh     bool          // a client that had not had it before has made it
	sent      bool          // subscribed upstream
	dirty     bool          // is in Hub.dirty
	lingering *list.Element // its element of Hub.lingering; nil if it is not in there
	idle      time.Time     // when it lost its last group
}

// setHash identifies a set of topics: the sums of two hashes of each topic under random
// seeds. So a topic is added or removed in one step, nobody can choose sets that collide, and
// two sets collide by chance with a probability of 2^-128.
type setHash [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func hashTopic(topic []byte) setHash {
	return setHash{maphash.Bytes(seeds[0], topic), maphash.Bytes(seeds[1], topic)}
}

func (h setHash) plus(o setHash) setHash  { return setHash{h[0] + o[0], h[1] + o[1]} }
func (h setHash) minus(o setHash) setHash { return setHash{h[0] - o[0], h[1] - o[1]} }

// groupKey is what the members of a group have in common.
type groupKey struct {
	lane   *lane
	filter Filter
	topics setHash
}

// group is the members that receive exactly the same bytes.
type group struct {
	groupKey
	members []*Member
	// subscriptions maps each to the index of the group in its list of groups.
	subscriptions map[*subscription]int
	spans         []span // of the lane's chunk: what waits to be delivered
	missed        uint64 // number of the last message that the members have missed
}

// span is the messages from, from+1, … to-1 of a chunk.
type span struct{ from, to int }

func newGroup(key groupKey) *group {
	return &group{groupKey: key, subscriptions: make(map[*subscription]int)}
}

// subscribe adds s to the group's set.
func (g *group) subscribe(s *subscription) {
	g.subscriptions[s] = len(s.groups)
	s.groups = append(s.groups, g)
}

// unsubscribe removes s from the group's set.
func (g *group) unsubscribe(s *subscription) {
	at, last := g.subscriptions[s], len(s.groups)-1
	s.groups[at] = s.groups[last]
	s.groups[at].subscriptions[s] = at
	s.groups[last] = nil
	s.groups = s.groups[:last]
	delete(g.subscriptions, s)
}

func (g *group) join(m *Member) {
	m.group, m.at = g, len(g.members)
	g.members = append(g.members, m)
}

func (g *group) leave(m *Member) {
	last := len(g.members) - 1
	g.members[m.at] = g.members[last]
	g.members[m.at].at = m.at
	g.members[last] = nil
	g.members = g.members[:last]
	m.group = nil
}

// lane is the groups that share a codec.
type lane struct {
	codec  queue.Codec
	groups int // number of groups that use it
	chunk  *queue.Chunk
	size   int      // of the previous chunk, in bytes
	number uint64   // of the message that was encoded last
	wanted []*group // that have spans of chunk
}

// add adds m, the message of that number and with that position, to what g receives. It is encoded now, unless it was
// for another group of the lane.
func (l *lane) add(g *group, m zmtp.Message, at []byte, number uint64) {
	if l.chunk == nil {
		l.chunk = queue.NewChunk(l.codec, l.size)
	}
	if l.number != number {
		l.number = number
		l.chunk.AppendAt(m, at)
	}
	end := l.chunk.Messages()
	switch n := len(g.spans); {
	case n == 0:
		l.wanted = append(l.wanted, g)
		g.spans = append(g.spans, span{end - 1, end})
	case g.spans[n-1].to == end-1:
		g.spans[n-1].to = end
	case g.spans[n-1].to < end-1:
		g.spans = append(g.spans, span{end - 1, end})
	}
}

// full reports that the chunk should be delivered.
func (l *lane) full() bool {
	return l.chunk.Size() >= maxChunkBytes || l.chunk.Messages() >= maxChunkMessages
}

// delivered counts messages and encoded bytes that were queued, once for each member.
type delivered struct{ messages, bytes int }

// deliver queues what waits for the members of all groups; see group.put for p.
func (l *lane) deliver(p *pass) (sum delivered) {
	if l.chunk == nil {
		return delivered{}
	}
	for i, g := range l.wanted {
		d := g.deliver(l.chunk, p)
		sum.messages += d.messages
		sum.bytes += d.bytes
		l.wanted[i] = nil
	}
	l.wanted = l.wanted[:0]
	l.size = l.chunk.Size()
	l.chunk.Release()
	l.chunk = nil
	return sum
}

// sharedSpans is how many spans of a chunk a group may reference instead of a copy.
const sharedSpans = 4

// deliver puts what the group wants of chunk into its members' queues: references to chunk if
// that is a few large pieces of it, else to a copy, so that a slow client does not keep more
// memory alive than its queue's limit. See put for p.
func (g *group) deliver(chunk *queue.Chunk, p *pass) delivered {
	messages, bytes := 0, 0
	for _, s := range g.spans {
		messages += s.to - s.from
		bytes += len(chunk.Bytes(s.from, s.to))
	}
	if bytes >= gatherBytes {
		p = nil
	}
	if len(g.spans) > sharedSpans || 2*bytes < chunk.Size() {
		own := queue.NewChunk(g.lane.codec, bytes)
		for _, s := range g.spans {
			own.AppendRange(chunk, s.from, s.to)
		}
		g.put(own, span{0, own.Messages()}, p)
		own.Release()
	} else {
		for _, s := range g.spans {
			g.put(chunk, s, p)
		}
	}
	g.spans = g.spans[:0]
	return delivered{messages * len(g.members), bytes * len(g.members)}
}

// put queues a span of c for all members. The writers of those that had nothing waiting are woken;
// if p is not nil, they are added to it instead.
func (g *group) put(c *queue.Chunk, s span, p *pass) {
	// A queue that is closed, or closes now because it is full, reports that to its owner, and the
	// member leaves then.
	if p == nil {
		for _, m := range g.members {
			_ = m.queue.PutRange(c, s.from, s.to)
		}
		return
	}
	for _, m := range g.members {
		if write, _ := m.queue.AddRange(c, s.from, s.to); write {
			p.queues = append(p.queues, m.queue)
		}
	}
}
