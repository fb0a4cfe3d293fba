package zws

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/internal/wsframe"
)

// missedPings is how many pings a client that has answered one may leave unanswered.
const missedPings = 2

// liveness sends WebSocket pings and ends the connection of a client that stops answering.
// Clients that never answer are left alone: libzmq without a mechanism answers none. Pongs
// are counted and not compared, because libzmq sends them empty.
type liveness struct {
	interval time.Duration
	missed   int // silent intervals in a row; only the timer uses it
	// heard is set when the client has sent something in this interval.
	heard atomic.Bool
	// answered is set once the client has answered a ping.
	answered atomic.Bool
	// listening is set while somebody reads. When nobody does, because messages have
	// nowhere to go, silence means nothing.
	listening atomic.Bool

	mu    sync.Mutex
	timer *time.Timer // nil before start and after stop
}

func (l *liveness) start(c *Conn, interval time.Duration) {
	if interval <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.ctx.Err() != nil {
		return
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
func (l *liveness) pong(string) error {
	l.answered.Store(true)
	l.heard.Store(true)
	return nil
}

// dead evaluates the interval that has ended and reports whether the client has missed too
// many pings.
func (l *liveness) dead() bool {
	if l.heard.Swap(false) || !l.listening.Load() {
		l.missed = 0
	} else {
		l.missed++
	}
	return l.answered.Load() && l.missed >= missedPings
}

// ping is called by the timer.
func (c *Conn) ping() {
	l := &c.liveness
	if l.dead() {
		c.Close(&CloseError{Code: CodeTimeout, Reason: "two pings were not answered"})
		return
	}
	c.enqueue(wsframe.AppendControl(nil, wsframe.Ping, nil))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Reset(l.interval)
	}
}
