package zws

// muxLine is a queue of channels, first come, first served.
type muxLine struct {
	first, last *muxChannel
	length      int
}

func (l *muxLine) push(ch *muxChannel) {
	if l.first == nil {
		l.first = ch
	} else {
		l.last.follower = ch
	}
	l.last = ch
	l.length++
}

func (l *muxLine) pop() *muxChannel {
	ch := l.first
	l.first, ch.follower = ch.follower, nil
	if l.first == nil {
		l.last = nil // a channel that has ended must not be kept
	}
	l.length--
	return ch
}

// activate has the writer ask ch. Lock held on entry.
func (m *mux) activate(ch *muxChannel) {
	if !ch.active && !ch.gone {
		ch.active = true
		m.active.push(ch)
	}
}

// Next implements Source. Each channel gets one turn per batch, because what its source gave
// must be written before the source is asked again. Channels that gave something go to the
// end of the line. Flush leaves channels that were woken to another goroutine: their sources can read a
// history, for example.
func (m *mux) Next(b *Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for turns := m.active.length; turns > 0 && !b.Full(); turns-- {
		ch := m.active.pop()
		if b.hurried && ch.woken {
			b.left = true
			m.active.push(ch)
			continue
		}
		ch.active, ch.woken = false, false
		if ch.fill(b) {
			m.activate(ch)
		}
	}
}

// wake has the channel's source asked.
func (ch *muxChannel) wake() {
	ch.parent.mu.Lock()
	ch.activateWoken()
	ch.parent.mu.Unlock()
	ch.conn.out.wake()
}

// activateWoken is activate, but Flush does not ask ch. Lock held on entry.
func (ch *muxChannel) activateWoken() {
	ch.parent.activate(ch)
	ch.woken = true
}

// announce implements Channel.Announce.
func (ch *muxChannel) announce() {
	ch.parent.mu.Lock()
	ch.parent.activate(ch)
	ch.parent.mu.Unlock()
}

// flush implements Channel.Flush. Flush of another channel can have written what was announced.
func (ch *muxChannel) flush() {
	ch.parent.mu.Lock()
	active := ch.active
	ch.parent.mu.Unlock()
	if active {
		ch.conn.out.flush()
	}
}
