package fanout

import "github.com/zwsbridge/zwsbridge/bridge/internal/history"

// Replicate appends b to the log of the hub, which is a copy (history.Options.Replica), and
// delivers its messages to the members. The calls have the order of the batches.
func (h *Hub) Replicate(b history.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliver() // members that join from here on read what follows from the log, or get it live
	r := &h.replicated
	r.Entries, r.Missed = r.Entries[:0], r.Missed[:0]
	err := h.log.Replicate(b, r)
	for _, e := range r.Entries {
		at, _ := e.After.AppendBinary(h.at[:0])
		h.frames = e.Frames(h.frames[:0])
		h.fanOut(h.frames, at)
	}
	for _, topic := range r.Missed {
		h.discarded(topic)
	}
	if err == nil {
		h.copied = h.log.End()
	}
	clear(r.Entries)
	clear(r.Missed)
	h.deliverSoon()
	return err
}
