package backend

import (
	"cmp"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file is the way of messages that a peer sends without having been asked: to all streams
// that may have them, or until there is one, into the peer's held messages.

// held are messages of a peer that no stream can take yet, oldest first. Guarded by core.mu.
type held struct {
	msgs  []zmtp.Message
	bytes int64
	// delivering: a goroutine gives msgs to the streams. Later messages wait behind them, and
	// it owns the peer's audience, which belongs to the reader otherwise.
	delivering bool
}

// audience are the streams that may have a peer's unasked messages.
type audience struct {
	streams    []*stream
	judged     uint64 // the highest stream.number that was asked
	generation uint64 // of core that streams are right for
}

// seat holds the turn at a stream for a goroutine that delivers.
type seat struct{ current *stream }

// turn waits for the turn at st.
func (s *seat) turn(st *stream) {
	if s.current == st {
		return
	}
	s.flush()
	st.turn <- struct{}{}
	s.current = st
}

// flush flushes the stream that s has the turn at and ends the turn. It is called before the
// goroutine waits for anything.
func (s *seat) flush() {
	if st := s.current; st != nil {
		st.flush()
		s.current = nil
		<-st.turn
	}
}

// broadcast gives m to all streams that may have what p sends without having been asked. While
// there is none m is held. p's reader calls it, without the lock.
func (c *core) broadcast(p *peer, m zmtp.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if p.held.delivering || len(p.held.msgs) > 0 {
			c.hold(p, m)
			return
		}
		generation := c.updateAudience(p, &p.seat)
		streams := p.audience.streams
		c.mu.Unlock()
		taken := c.giveAll(&p.seat, streams, m)
		c.mu.Lock()
		if taken {
			return
		}
		if generation == c.generation {
			c.hold(p, m)
			return
		}
	}
}

// giveAll gives m to streams and reports whether one took it.
func (c *core) giveAll(s *seat, streams []*stream, m zmtp.Message) (taken bool) {
	for _, st := range streams {
		s.turn(st)
		if c.prepare != nil {
			c.prepare(st)
		}
		taken = st.receive(m) || taken
	}
	return taken
}

// updateAudience makes p.audience right for the generation that it returns. It asks only
// streams that have come or changed since, and releases the lock meanwhile, because that may
// take long; it ends the turn of s before. Lock held on entry.
func (c *core) updateAudience(p *peer, s *seat) (generation uint64) {
	a := &p.audience
	for a.generation != c.generation {
		var streams []*stream // another goroutine may be reading the old ones
		for _, st := range a.streams {
			if !st.closed && st.number <= a.judged {
				streams = append(streams, st)
			}
		}
		at, _ := slices.BinarySearchFunc(c.streams, a.judged+1, func(st *stream, n uint64) int { return cmp.Compare(st.number, n) })
		ask, judged, generation := slices.Clone(c.streams[at:]), c.numbers, c.generation
		c.mu.Unlock()
		if len(ask) > 0 {
			s.flush()
		}
		for _, st := range ask {
			if p.id == "" || st.o.MayAddress == nil || st.o.MayAddress([]byte(p.id)) {
				streams = append(streams, st)
			}
		}
		c.mu.Lock()
		a.streams, a.judged, a.generation = streams, judged, generation
	}
	return a.generation
}

// hold keeps a copy of m. At the high-water mark the oldest messages are dropped, or if they
// are being delivered hold waits. Lock held on entry.
func (c *core) hold(p *peer, m zmtp.Message) {
	h := &p.held
	full := func() bool {
		return len(h.msgs) > 0 && (len(h.msgs) >= c.o.HighWaterMark || h.bytes >= c.o.HighWaterBytes)
	}
	if full() && h.delivering {
		c.mu.Unlock()
		p.flush()
		c.mu.Lock()
	}
	for full() && h.delivering && !c.closing {
		c.changed.Wait()
	}
	for full() {
		c.drop(Unroutable)
		h.pop()
	}
	own := owned(m)
	h.msgs = append(h.msgs, own)
	h.bytes += int64(own.Size())
	if !h.delivering && p.audience.generation != c.generation {
		c.deliverHeld(p)
	}
}

// owned returns a copy of a message that is valid until the next read only.
func owned(m zmtp.Message) zmtp.Message {
	own := make(zmtp.Message, len(m))
	for i, frame := range m {
		own[i] = slices.Clone(frame)
	}
	return own
}

// pop removes the oldest message.
func (h *held) pop() {
	h.bytes -= int64(h.msgs[0].Size())
	h.msgs[0] = nil
	if h.msgs = h.msgs[1:]; len(h.msgs) == 0 {
		h.msgs = nil
	}
}

// audienceChanged is called when a stream was attached, detached or re-evaluated: held
// messages are offered again. Lock held on entry.
func (c *core) audienceChanged() {
	c.generation++
	for _, p := range c.peers {
		if len(p.held.msgs) > 0 && !p.held.delivering {
			c.deliverHeld(p)
		}
	}
}

// deliverHeld starts the delivery of p's held messages. Lock held on entry.
func (c *core) deliverHeld(p *peer) {
	p.held.delivering = true
	c.running.Go(func() {
		var s seat
		for c.deliverOldest(p, &s) {
		}
		s.flush()
	})
}

// deliverOldest gives p's oldest held message to the streams that may have it. It reports
// false, and ends the delivery, when no message is left or no stream may have one.
func (c *core) deliverOldest(p *peer, s *seat) (more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &p.held
	if len(h.msgs) > 0 {
		generation := c.updateAudience(p, s)
		streams, m := p.audience.streams, h.msgs[0]
		c.mu.Unlock()
		taken := c.giveAll(s, streams, m)
		c.mu.Lock()
		if taken {
			h.pop()
			c.changed.Broadcast()
			return true
		}
		if generation != c.generation {
			return true
		}
	}
	h.delivering = false
	if p.gone {
		c.dropHeld(p)
	}
	c.changed.Broadcast()
	return false
}

// dropHeld drops what no stream took while p was connected. Lock held on entry.
func (c *core) dropHeld(p *peer) {
	for len(p.held.msgs) > 0 && !p.held.delivering {
		c.drop(Unroutable)
		p.held.pop()
	}
}
