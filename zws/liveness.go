package zws

import (
	"sync"
	"sync/atomic"
	"time"
)

// missedPings is how many pings a peer that has answered one may leave unanswered.
const missedPings = 2

// liveness sends WebSocket pings and judges the silence that follows. A peer that never
// answers is never judged: libzmq without a mechanism answers none. Pongs are counted and
// not compared, because libzmq sends them empty.
type liveness struct {
	interval time.Duration
	missed   int // intervals of silence after a ping; the timer's own
	// heard: the peer has sent something in this interval.
	heard atomic.Bool
	// answered: the peer has answered a ping at some time.
	answered atomic.Bool
	// listening: somebody reads. While nobody does, because messages have nowhere to go,
	// silence means nothing.
	listening atomic.Bool

	mu    sync.Mutex
	timer *time.Timer // nil: not started, or stopped
}

func (l *liveness) start(s *Conn, interval time.Duration) {
	if interval <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	l.interval = interval
	l.timer = time.AfterFunc(interval, s.ping)
}

func (l *liveness) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// pong notes an answer.
func (l *liveness) pong(string) error {
	l.answered.Store(true)
	l.heard.Store(true)
	return nil
}

// dead looks at the interval that has ended.
func (l *liveness) dead() bool {
	if l.heard.Swap(false) || !l.listening.Load() {
		l.missed = 0
	} else {
		l.missed++
	}
	return l.answered.Load() && l.missed >= missedPings
}

// ping is called by the timer.
func (s *Conn) ping() {
	l := &s.liveness
	if l.dead() {
		s.Close(&CloseError{Code: CodeTimeout, Reason: "two pings were not answered"})
		return
	}
	s.enqueue(appendControl(nil, wsPing, nil))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Reset(l.interval)
	}
}
