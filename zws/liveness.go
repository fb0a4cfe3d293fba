package zws

import (
	"sync"
	"sync/atomic"
	"time"
)

const unfinishedText = "a message was begun and not ended"

// missedPings is how many pings a client that has answered one may leave unanswered.
const missedPings = 2

// liveness sends WebSocket pings, and ends the connection of a client that does not answer
// them, or does not end a message that it has begun. Clients of a mute dialect are left alone
// until they have answered once: libzmq without a mechanism answers no pings. Pongs are
// counted and not compared, because libzmq sends them empty.
type liveness struct {
	interval time.Duration
	silent   bool  // no pings
	missed   uint8 // silent intervals in a row, up to missedPings; only the timer uses it
	// heard is set when the client has sent something in this interval.
	heard atomic.Bool
	// answers is set if the client must answer pings, or once it has answered one.
	answers atomic.Bool
	// listening is set while somebody reads. When nobody does, because messages have
	// nowhere to go, silence means nothing.
	listening atomic.Bool

	// message is odd while a message has begun and not ended, and increases with each.
	message atomic.Uint32
	// What the timer has seen of the message that has begun: its number, for how long, and
	// what the connection had received before.
	seen     uint32
	since    time.Duration
	received int64
	heardAt  int64 // what the connection had received at the last interval

	mu    sync.Mutex
	timer *time.Timer // nil before start and after stop
}

// start sends the first ping after interval; 0 means none. It does nothing if pings are sent
// already.
func (l *liveness) start(c *Conn, interval time.Duration) {
	if !c.dialect.mute {
		l.answers.Store(true)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.life.over() || l.timer != nil {
		return
	}
	if l.silent = interval <= 0; l.silent {
		interval = DefaultPingInterval
	}
	l.interval = interval
	l.timer = time.AfterFunc(interval, c.ping)
}

func (l *liveness) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// pong records an answer.
func (c *Conn) pong(payload string) error {
	c.liveness.answers.Store(true)
	c.liveness.heard.Store(true)
	c.answered(payload)
	return nil
}

// dead evaluates the interval that has ended and reports whether the client has missed too
// many pings.
func (l *liveness) dead() bool {
	if l.heard.Swap(false) || !l.listening.Load() {
		l.missed = 0
	} else {
		l.missed = min(l.missed+1, missedPings)
	}
	return l.answers.Load() && l.missed >= missedPings
}

// begin and end mark a message of the client. Only the reader calls them.
func (l *liveness) begin() {
	if l.message.Load()%2 == 0 {
		l.message.Add(1)
	}
}

func (l *liveness) end() { l.message.Add(l.message.Load() % 2) }

// unfinished evaluates the interval that has ended, and reports whether a message takes too
// long. received is how many bytes the connection has received so far.
func (l *liveness) unfinished(received int64) bool {
	message := l.message.Load()
	if message%2 == 0 || message != l.seen {
		l.seen, l.since, l.received = message, 0, received
		return false
	}
	l.since += l.interval
	return l.since >= messageTime+time.Duration((received-l.received)/messageRate)*time.Second
}

// ping is called by the timer.
func (c *Conn) ping() {
	l := &c.liveness
	received := c.wire.received.Load()
	if received != l.heardAt { // no pong can come inside a frame
		l.heardAt = received
		l.heard.Store(true)
	}
	if l.unfinished(received) {
		c.Close(&CloseError{Code: CodeTimeout, Reason: unfinishedText})
		return
	}
	if !l.silent && l.dead() {
		c.Close(&CloseError{Code: CodeTimeout, Reason: "two pings were not answered"})
		return
	}
	if !l.silent {
		c.out.mu.Lock()
		c.out.pings.tick()
		c.out.mu.Unlock()
		c.out.wake()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Reset(l.interval)
	}
}
