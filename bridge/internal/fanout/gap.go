package fanout

import "github.com/zwsbridge/zwsbridge/bridge/internal/history"

// Gap records in the log that messages may be missing here, which have not reached the bridge, and
// notifies the members that keep positions: they would take a resume later for complete, or have to
// load their state again now. Each gap is notified, since what was loaded after the last one is
// outdated, but only one of several that still wait without a message between them.
func (h *Hub) Gap(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.log.Gap(reason)
	h.tellGap(h, at)
}

// tellGapNow notifies the members that keep positions of a gap before at, behind what waits for them.
// Lock held on entry, as in the functions below.
func (h *Hub) tellGapNow(at history.Position) {
	h.deliver()
	p, _ := at.AppendBinary(nil)
	for _, m := range h.followers {
		m.missed(p)
	}
}

// missed notifies m of a gap before at, unless it has no subscriptions, so that it misses nothing. A
// member whose writer reads the log comes to the gap there.
func (m *Member) missed(at []byte) {
	if len(m.group.subscriptions) > 0 {
		m.queue.Gap(at)
	}
}
