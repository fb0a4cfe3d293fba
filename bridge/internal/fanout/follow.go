package fanout

import (
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
)

// A follower keeps positions of the log. The position of a client is that of its last message, so
// while its topics are quiet and others are not, it would age until the log has dropped what follows
// it, and the client could not resume although it has missed nothing. Therefore each follower is
// visited in every round, and told the end of the log if it has got nothing since the last visit.
// The visits of a round are spread over it.
const (
	roundTime = 25 * time.Second
	rounds    = 25 // parts of a round
	// visitStep is how many followers are visited before the lock is released.
	visitStep = 64
)

// follower is what a hub knows of a member that keeps positions.
type follower struct {
	follows bool
	seat    int              // index in Hub.followers
	seen    history.Position // of the last message that it had been given at the last visit
	told    history.Position // up to which it has everything, as it was told last
}

// follow adds m to the followers. Lock held on entry, as in the functions below that say nothing
// else.
func (h *Hub) follow(m *Member) {
	m.follows, m.seat = true, len(h.followers)
	h.followers = append(h.followers, m)
}

func (h *Hub) unfollow(m *Member) {
	if !m.follows {
		return
	}
	last := len(h.followers) - 1
	h.followers[m.seat] = h.followers[last]
	h.followers[m.seat].seat = m.seat
	h.followers[last] = nil
	h.followers = h.followers[:last]
	m.follows = false
}

// visit visits the followers of the next part of a round. The lock is not held on entry.
func (h *Hub) visit() {
	h.mu.Lock()
	defer h.mu.Unlock()
	part := h.part
	h.part = (part + 1) % rounds
	for i, n := len(h.followers)*part/rounds, 0; i < len(h.followers)*(part+1)/rounds; i++ {
		if n++; n%visitStep == 0 {
			h.mu.Unlock() // members come and go meanwhile: one that is missed now is visited in the next round
			h.mu.Lock()
			if i >= len(h.followers) {
				return
			}
		}
		h.followers[i].visited()
	}
}

// visited has m told where the log ends, if m has got nothing since the last visit.
func (m *Member) visited() {
	var at history.Position
	var b [history.PositionSize]byte
	if at.UnmarshalBinary(m.queue.Given(b[:0])) == nil && at != m.seen {
		m.seen = at
		return
	}
	if end, known := m.hub.reached(); known && end != m.told && end != m.seen && len(m.group.subscriptions) > 0 {
		m.queue.Refresh()
	}
}

// reached returns the position up to which the members have been given everything, once what waits is
// delivered. It is not known while another hub writes to the log.
func (h *Hub) reached() (end history.Position, known bool) {
	if h.keeping {
		return h.log.End(), true
	}
	return h.copied, !h.copied.IsZero()
}

// began has m told where the log ends, if it never was: it has subscribed for the first time.
func (m *Member) began() {
	if m.follows && m.told.IsZero() && !m.queue.Behind() {
		m.queue.Refresh()
	}
}

// Reached implements queue.Backlog. Everything before the end of the log was put into the queue,
// and its writer has taken it.
func (m *Member) Reached(b queue.Batch) bool {
	h := m.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.group == nil {
		return true
	}
	h.deliver()
	if !m.queue.Idle() {
		return false
	}
	end, known := h.reached()
	if !known {
		return true
	}
	m.told = end
	at, _ := m.told.AppendBinary(nil)
	_ = b.Live(at) // an error ends the stream
	return true
}
