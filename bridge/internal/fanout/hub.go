package fanout

import (
	"container/list"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Options are how a hub treats its upstream and its time.
type Options struct {
	// Linger is how long a subscription that no member wants any more is kept upstream,
	// so that a page that is loaded again costs nothing there. 0 means 5 s; less than 0,
	// that it is cancelled at once.
	Linger time.Duration
	// Flush is how long messages may wait for others to be delivered with. 0 means that
	// they do not: what one read of the upstream brings is delivered at once.
	Flush time.Duration
	// Observe, if not nil, hears how many messages, and octets of them, were queued for
	// members, once for each member. It must be quick and must not call the hub.
	Observe func(messages, octets int)
}

const defaultLinger = 5 * time.Second

// How much is encoded before it is delivered, whatever Flush says.
const (
	batchOctets   = 64 << 10
	batchMessages = 1000
)

// Hub is a shared upstream and its members. All methods may be called concurrently.
type Hub struct {
	linger, flush time.Duration
	observe       func(messages, octets int)

	mu      sync.Mutex
	trie    trie
	lanes   map[queue.Codec]*lane
	groups  map[groupKey]*group
	members int

	dirty     []*subscription // upstream has to be told
	lingering list.List       // of *subscription: nobody wants them, the longest idle first
	changed   chan struct{}   // there is something dirty, or something lingers

	number  uint64 // of the message that is being matched
	matched []*subscription
	waiting bool        // a lane has something to deliver
	timer   *time.Timer // delivers once Flush is over
	armed   bool
	stats   Stats
}

// Stats are what a hub has and has done.
type Stats struct {
	Members, Groups, Topics int
	Messages                uint64 // that came from upstream
	Deliveries              uint64 // that were queued for members
}

// New returns a hub without members. It is the Receiver of a backend socket, and tells
// that socket what its members want while [Hub.Run] runs.
func New(o Options) *Hub {
	if o.Linger == 0 {
		o.Linger = defaultLinger
	}
	return &Hub{
		linger:  max(o.Linger, 0),
		flush:   o.Flush,
		observe: o.Observe,
		lanes:   make(map[queue.Codec]*lane),
		groups:  make(map[groupKey]*group),
		changed: make(chan struct{}, 1),
	}
}

// Message implements backend.Receiver: it finds the members that want m and encodes it for
// them. The order of calls is the order in which every member gets what it wants. m is not
// kept.
func (h *Hub) Message(m zmtp.Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Messages++
	h.number++
	topic := m[0]
	h.matched = h.trie.match(h.matched[:0], topic)
	full := false
	for _, s := range h.matched {
		for _, g := range s.groups {
			if g.filter != nil && !g.filter.Allows(topic) {
				continue
			}
			g.lane.add(g, m, h.number)
			h.waiting = true
			full = full || g.lane.full()
		}
	}
	if full {
		h.deliver()
	}
	return nil
}

// Flush implements backend.Receiver: what was encoded is delivered, unless it may wait.
func (h *Hub) Flush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.flush <= 0 {
		h.deliver()
	} else if h.waiting && !h.armed {
		h.arm()
	}
}

// deliver empties all lanes. Lock held.
func (h *Hub) deliver() {
	if !h.waiting {
		return
	}
	h.waiting = false
	var sum delivered
	for _, l := range h.lanes {
		d := l.deliver()
		sum.messages += d.messages
		sum.octets += d.octets
	}
	h.stats.Deliveries += uint64(sum.messages)
	if h.observe != nil {
		h.observe(sum.messages, sum.octets)
	}
}

// arm has what waits delivered once Flush is over. Lock held.
func (h *Hub) arm() {
	h.armed = true
	if h.timer != nil {
		h.timer.Reset(h.flush)
		return
	}
	h.timer = time.AfterFunc(h.flush, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.armed = false
		h.deliver()
	})
}

// Stats tells what the hub has and has done so far.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Members, s.Groups, s.Topics = h.members, len(h.groups), h.trie.size
	return s
}
