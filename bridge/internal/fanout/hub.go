package fanout

import (
	"container/list"
	"math"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Options configure a hub.
type Options struct {
	// Linger is how long a subscription is kept upstream after the last member has
	// unsubscribed, so that reloading a page costs nothing there. 0 means 5 s; a negative
	// value ends the subscription at once.
	Linger time.Duration
	// LingerBytes, if not nil, returns how many bytes the topics of all subscriptions that
	// are kept like this may have; beyond it the longest idle one ends early. It is called
	// when one begins to linger, must be quick and must not call the hub.
	LingerBytes func() int64
	// Flush, if not nil, returns how long messages may wait in order to be delivered together with
	// later ones. 0, or nil, delivers what one read of the upstream brings at once. It must be quick
	// and must not call the hub.
	Flush func() time.Duration
	// Log, if not nil, is the history of the route: it gets each message before the members do.
	// The hub writes to it after Keep.
	Log *history.Log
	// LastValues gives each new subscription the last values of its topics.
	LastValues bool
	// Resumed, if not nil, is called with what a client that resumes is told, and Replayed with the
	// number of messages that were given to one from the log. They must be quick and must not call
	// the hub.
	Resumed  func(history.Resumed)
	Replayed func(messages int)
	// Observe, if not nil, is called with the number of messages that were queued, and of
	// their encoded bytes, each counted once for each member. It must be quick and must not
	// call the hub.
	Observe func(messages, bytes int)
}

const defaultLinger = 5 * time.Second

// A lane's chunk is delivered when it reaches one of these limits, regardless of Flush.
const (
	maxChunkBytes    = 64 << 10
	maxChunkMessages = 1000
)

// Hub is a shared upstream and its members. All methods may be called concurrently.
type Hub struct {
	linger      time.Duration
	flush       func() time.Duration
	lingerBytes func() int64
	observe     func(messages, bytes int)
	resumed     func(history.Resumed)
	replayed    func(messages int)
	log         *history.Log // nil without a history
	lastValues  bool
	seam        func(*catchUp)               // (*catchUp).rejoin, except in tests of the tests
	tellGap     func(*Hub, history.Position) // (*Hub).tellGapNow, likewise

	mu      sync.Mutex
	trie    trie
	lanes   map[queue.Codec]*lane
	groups  map[groupKey]*group
	keeping bool // messages go to the log
	members int

	dirty     []*subscription // may have to change upstream
	pinned    []*subscription // to the topics of the log
	uncovered bool            // some that were are not any more, since the last changes
	followers []*Member
	lingering list.List     // of *subscription: without groups, the longest idle first
	idleBytes int64         // of the topics in lingering
	changed   chan struct{} // wakes Run: dirty or lingering has changed

	at         [history.PositionSize]byte // scratch, as the next two
	frames     zmtp.Message
	replicated history.Replicated
	copied     history.Position // the end of what Replicate has delivered
	number     uint64           // of the message that is being matched
	matched    []*subscription  // scratch
	part       int              // of the round in which followers are visited
	waiting    bool             // a lane has something to deliver
	timer      *time.Timer      // delivers after Options.Flush
	armed      bool             // timer is running
	stats      Stats
	unused     recovery // of the members, without a log
}

// Stats are the current size of a hub and its counts.
type Stats struct {
	Members, Groups, Topics int
	Messages                uint64 // received from upstream
	Deliveries              uint64 // messages queued, once for each member
}

// New returns a hub without members. Make it the Receiver of a backend socket and call
// [Hub.Run] with that socket.
func New(o Options) *Hub {
	if o.Linger == 0 {
		o.Linger = defaultLinger
	}
	if o.LingerBytes == nil {
		o.LingerBytes = func() int64 { return math.MaxInt64 }
	}
	if o.Flush == nil {
		o.Flush = func() time.Duration { return 0 }
	}
	h := &Hub{
		linger:      max(o.Linger, 0),
		lingerBytes: o.LingerBytes,
		flush:       o.Flush,
		observe:     o.Observe,
		resumed:     o.Resumed,
		replayed:    o.Replayed,
		lanes:       make(map[queue.Codec]*lane),
		groups:      make(map[groupKey]*group),
		changed:     make(chan struct{}, 1),
		log:         o.Log,
		lastValues:  o.LastValues,
		seam:        (*catchUp).rejoin,
		tellGap:     (*Hub).tellGapNow,
	}
	return h
}

// Message implements backend.Receiver: it finds the members that are subscribed to m and
// encodes it for them. Each member gets its messages in the order of the calls. m is not kept.
// The error is always nil.
func (h *Hub) Message(m zmtp.Message) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fanOut(m, h.keep(m))
	return nil
}

// fanOut encodes m, with that position, for the members that are subscribed to it. Lock held on
// entry.
func (h *Hub) fanOut(m zmtp.Message, at []byte) {
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
			g.lane.add(g, m, at, h.number)
			h.waiting = true
			full = full || g.lane.full()
		}
	}
	if full {
		h.deliver()
	}
}

// Discarded implements backend.Receiver: it tells the members that are subscribed to m that they
// have missed it.
func (h *Hub) Discarded(m zmtp.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keeping {
		h.log.Missed(m[0])
	}
	h.discarded(m[0])
}

// discarded tells the members that are subscribed to topic that they have missed a message. Lock
// held on entry.
func (h *Hub) discarded(topic []byte) {
	h.number++
	h.matched = h.trie.match(h.matched[:0], topic)
	for _, s := range h.matched {
		for _, g := range s.groups {
			if g.missed == h.number || g.filter != nil && !g.filter.Allows(topic) {
				continue
			}
			g.missed = h.number
			for _, member := range g.members {
				member.queue.Missed(1)
			}
		}
	}
}

// Flush implements backend.Receiver: it delivers what was encoded, and writes it to the clients as
// far as none has to be waited for, or with Options.Flush starts the timer that does.
func (h *Hub) Flush() {
	h.mu.Lock()
	var p *pass
	if !h.deferred() {
		p = h.deliverPass()
	}
	h.mu.Unlock()
	p.write()
}

// deferred reports whether what waits is delivered later, because of Options.Flush. Lock held on
// entry, as in the functions below.
func (h *Hub) deferred() bool {
	wait := h.flush()
	if wait > 0 && h.waiting && !h.armed {
		h.arm(wait)
	}
	return wait > 0
}

// deliver empties all lanes, and wakes the writers of members that had nothing waiting.
func (h *Hub) deliver() { h.deliverTo(nil) }

// deliverPass empties all lanes, and returns the members that had nothing waiting, for the caller
// to write to once the lock is released.
func (h *Hub) deliverPass() *pass {
	p := newPass()
	h.deliverTo(p)
	return p
}

// deliverTo empties all lanes; see group.put for p.
func (h *Hub) deliverTo(p *pass) {
	if h.keeping {
		_ = h.log.Flush() // its State tells of errors; what is delivered is kept: a restart must not have less than a client
	}
	if !h.waiting {
		return
	}
	h.waiting = false
	var sum delivered
	for _, l := range h.lanes {
		d := l.deliver(p)
		sum.messages += d.messages
		sum.bytes += d.bytes
	}
	h.stats.Deliveries += uint64(sum.messages)
	if h.observe != nil {
		h.observe(sum.messages, sum.bytes)
	}
}

// arm starts the timer that delivers what waits.
func (h *Hub) arm(wait time.Duration) {
	h.armed = true
	if h.timer != nil {
		h.timer.Reset(wait)
		return
	}
	h.timer = time.AfterFunc(wait, func() {
		h.mu.Lock()
		h.armed = false
		p := h.deliverPass()
		h.mu.Unlock()
		p.write()
	})
}

// Stats returns the current size of the hub and its counts.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Members, s.Groups, s.Topics = h.members, len(h.groups), h.trie.size
	return s
}
