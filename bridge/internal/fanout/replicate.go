package fanout

import "github.com/zwsbridge/zwsbridge/bridge/internal/history"

// Replicate appends b to the log of the hub, which is a copy (history.Options.Replica), and
// delivers its messages to the members. The calls have the order of the batches.
func (h *Hub) Replicate(b history.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver() // members that join from here on read what follows from the log, or get it live
	r := &h.replicated
	r.Entries, r.Gaps, r.Missed, r.MissedAny = r.Entries[:0], r.Gaps[:0], r.Missed[:0], false
	err := h.log.Replicate(b, r)
	gaps := r.Gaps
	for i, e := range r.Entries {
		for ; len(gaps) > 0 && gaps[0].Entries <= i; gaps = gaps[1:] {
			h.tellGap(h, gaps[0].At)
		}
		at, _ := e.After.AppendBinary(h.at[:0])
		h.frames = e.Frames(h.frames[:0])
		h.fanOut(h.frames, at)
	}
	for _, g := range gaps {
		h.tellGap(h, g.At)
	}
	for _, topic := range r.Missed {
		h.discarded(topic)
	}
	if r.MissedAny {
		h.discardedAny()
	}
	if err == nil {
		h.copied = h.log.End()
	}
	clear(r.Entries)
	clear(r.Missed)
	if !h.deferred() {
		h.deliver()
	}
	return err
}

// discardedAny tells all members with a subscription that they may have missed messages: which topics these had
// is not known, nor how many there were. Lock held on entry.
func (h *Hub) discardedAny() {
	for _, g := range h.groups {
		if len(g.subscriptions) == 0 {
			continue
		}
		for _, member := range g.members {
			member.queue.Missed(1)
		}
	}
}
