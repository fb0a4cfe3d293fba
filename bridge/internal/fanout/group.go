package fanout

import (
	"container/list"
	"hash/maphash"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// subscription is one topic that the hub is, or was until a moment ago, subscribed to
// upstream. Its references are counted across groups: the groups themselves.
type subscription struct {
	topic  []byte
	hash   setHash
	node   *node
	groups []*group

	sent      bool          // upstream has been told 01
	dirty     bool          // stands in Hub.dirty
	lingering *list.Element // where it stands in Hub.lingering; nil if it does not
	idle      time.Time     // since when nobody wants it
}

// setHash stands for a set of topics: the sum of two hashes of each under random seeds, so
// that a topic is added and taken away in one step, nobody can choose sets that collide,
// and by chance they do so with a probability of 2^-128 a pair.
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

// group is the members that get exactly the same octets.
type group struct {
	groupKey
	members []*Member
	// subscriptions tells for each where the group stands in its list of groups.
	subscriptions map[*subscription]int
	spans         []span // of the lane's batch, what waits to be delivered
}

// span is the messages from, from+1, … to-1 of a batch.
type span struct{ from, to int }

func newGroup(key groupKey) *group {
	return &group{groupKey: key, subscriptions: make(map[*subscription]int)}
}

// subscribe adds s to the group's set.
func (g *group) subscribe(s *subscription) {
	g.subscriptions[s] = len(s.groups)
	s.groups = append(s.groups, g)
}

// cancel takes s out of the group's set.
func (g *group) cancel(s *subscription) {
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

// lane is everything that is encoded by one codec.
type lane struct {
	codec  queue.Codec
	groups int // that use it
	batch  *queue.Chunk
	size   int      // of the batch before
	number uint64   // of the message that was encoded last
	wanted []*group // that have spans of the batch
}

// add notes that g wants m, the message of that number, which is encoded now if no other
// group of the lane wanted it before.
func (l *lane) add(g *group, m zmtp.Message, number uint64) {
	if l.batch == nil {
		l.batch = queue.NewChunk(l.codec, l.size)
	}
	if l.number != number {
		l.number = number
		l.batch.Append(m)
	}
	end := l.batch.Messages()
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

// full tells that the batch should not grow any more.
func (l *lane) full() bool {
	return l.batch.Size() >= batchOctets || l.batch.Messages() >= batchMessages
}

// delivered counts what was queued for members: messages and encoded octets, once for each
// member.
type delivered struct{ messages, octets int }

// deliver gives every group's members what waits.
func (l *lane) deliver() (sum delivered) {
	if l.batch == nil {
		return delivered{}
	}
	for i, g := range l.wanted {
		d := g.deliver(l.batch)
		sum.messages += d.messages
		sum.octets += d.octets
		l.wanted[i] = nil
	}
	l.wanted = l.wanted[:0]
	l.size = l.batch.Size()
	l.batch.Release()
	l.batch = nil
	return sum
}

// sharedSpans is how many pieces of a batch a group may take as they are.
const sharedSpans = 4

// deliver puts what the group wants of batch into its members' queues: as references to
// the batch where that is a few large pieces of it, else to a copy, so that a slow client
// keeps no more memory alive than its queue is bounded to.
func (g *group) deliver(batch *queue.Chunk) delivered {
	messages, octets := 0, 0
	for _, s := range g.spans {
		messages += s.to - s.from
		octets += len(batch.Bytes(s.from, s.to))
	}
	if len(g.spans) > sharedSpans || 2*octets < batch.Size() {
		own := queue.NewChunk(g.lane.codec, octets)
		for _, s := range g.spans {
			own.AppendRange(batch, s.from, s.to)
		}
		g.put(own, span{0, own.Messages()})
		own.Release()
	} else {
		for _, s := range g.spans {
			g.put(batch, s)
		}
	}
	g.spans = g.spans[:0]
	return delivered{messages * len(g.members), octets * len(g.members)}
}

func (g *group) put(c *queue.Chunk, s span) {
	for _, m := range g.members {
		// A queue that is closed, or closes now because it is full, tells its own
		// session; its member leaves with that.
		_ = m.queue.PutRange(c, s.from, s.to)
	}
}
