package fanout

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// maxLingering limits the subscriptions that are kept without a group, as Options.LingerBytes
// limits their topics. Beyond it the longest idle one ends before Options.Linger is over.
const maxLingering = 10000

// Upstream is a SUB or XSUB socket (a backend.Socket). It keeps its subscriptions across
// reconnects.
type Upstream interface {
	Subscribe(ctx context.Context, topics ...[]byte) error
	Unsubscribe(ctx context.Context, topics ...[]byte) error
}

// Run keeps up subscribed to what the members want until ctx ends or up returns an error,
// and returns that error.
func (h *Hub) Run(ctx context.Context, up Upstream) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	round := time.NewTicker(roundTime / rounds)
	defer round.Stop()
	if h.log == nil {
		round.Stop()
	}
	for {
		wait := h.expire(time.Now())
		if err := h.apply(ctx, up); err != nil {
			return err
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.changed:
		case <-timer.C:
		case <-round.C:
			h.visit()
		}
	}
}

// apply makes up subscribed to what has changed since the last call.
func (h *Hub) apply(ctx context.Context, up Upstream) error {
	subscribe, unsubscribe, uncovered := h.changes()
	if !uncovered && len(unsubscribe) > 0 { // first: their room may have been given away
		if err := up.Unsubscribe(ctx, unsubscribe...); err != nil {
			return err
		}
	}
	if len(subscribe) > 0 {
		if err := up.Subscribe(ctx, subscribe...); err != nil {
			return err
		}
	}
	if uncovered && len(unsubscribe) > 0 { // last: until now, others came because of them
		return up.Unsubscribe(ctx, unsubscribe...)
	}
	return nil
}

// changes returns what has changed upstream since the last call. The topics are all different, so their
// order does not matter, unless some were covered.
func (h *Hub) changes() (subscribe, unsubscribe [][]byte, uncovered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	uncovered, h.uncovered = h.uncovered, false
	for _, s := range h.dirty {
		s.dirty = false
		wanted := len(s.groups) > 0 || s.lingering != nil || s.pinned
		if !wanted {
			h.trie.remove(s)
		}
		if wanted == s.sent || !s.sent && h.covered(s) {
			continue
		}
		if s.sent = wanted; wanted {
			subscribe = append(subscribe, s.topic)
		} else {
			unsubscribe = append(unsubscribe, s.topic)
		}
	}
	h.dirty = nil
	return subscribe, unsubscribe, uncovered
}

// covered reports whether s need not be subscribed to upstream: the log keeps all of it, and all who have
// made it resume where they were, so that they need no publisher that answers a subscription with what is
// current. To resume costs half without. Lock held on entry.
func (h *Hub) covered(s *subscription) bool {
	return !s.pinned && !s.fresh &&
		slices.ContainsFunc(h.pinned, func(p *subscription) bool { return bytes.HasPrefix(s.topic, p.topic) })
}

// uncover has those subscriptions sent upstream that are not covered any more. Lock held on entry.
func (h *Hub) uncover() {
	for _, g := range h.groups {
		for s := range g.subscriptions {
			if !s.sent {
				h.mark(s)
			}
		}
	}
}

// newSubscription adds a subscription without groups. Lock held on entry, as in the functions
// below except expire.
func (h *Hub) newSubscription(topic []byte) *subscription {
	s := &subscription{topic: append([]byte(nil), topic...), hash: hashTopic(topic)}
	h.trie.put(s)
	return s
}

// subscribed is called when a group has subscribed to s.
func (h *Hub) subscribed(s *subscription) {
	if s.lingering != nil {
		h.endLinger(s)
	}
	if !s.sent && !h.covered(s) {
		h.mark(s)
	}
}

// unsubscribed is called when a group has unsubscribed from s. It may be called twice.
func (h *Hub) unsubscribed(s *subscription) {
	if len(s.groups) > 0 || s.lingering != nil || s.pinned {
		return
	}
	s.idle = time.Now()
	s.lingering = h.lingering.PushBack(s)
	h.idleBytes += int64(len(s.topic))
	most := h.lingerBytes()
	for h.lingering.Len() > maxLingering || h.idleBytes > most {
		h.endOldest()
	}
	h.wake()
}

// expire ends the subscriptions that have lingered long enough and returns how long the next
// one still may.
func (h *Hub) expire(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.lingering.Len() > 0 {
		longest := h.lingering.Front().Value.(*subscription)
		if rest := longest.idle.Add(h.linger).Sub(now); rest > 0 {
			return rest
		}
		h.endOldest()
	}
	return time.Hour
}

// endOldest ends the longest idle subscription.
func (h *Hub) endOldest() {
	s := h.lingering.Front().Value.(*subscription)
	h.endLinger(s)
	h.mark(s)
}

// endLinger removes s from those that linger.
func (h *Hub) endLinger(s *subscription) {
	h.lingering.Remove(s.lingering)
	s.lingering = nil
	h.idleBytes -= int64(len(s.topic))
}

// mark makes Run compare s with what upstream is subscribed to.
func (h *Hub) mark(s *subscription) {
	if !s.dirty {
		s.dirty = true
		h.dirty = append(h.dirty, s)
	}
	h.wake()
}

// wake wakes Run.
func (h *Hub) wake() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}
