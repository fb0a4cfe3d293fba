package conn

import (
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws"
)

// bound is what a connection holds for its client over all streams, up to
// server.max_connection_bytes, and the watch over the fullest stream while backends wait for room.
type bound struct {
	budget *queue.Budget  // nil if the limits of the only queue are within the bound
	sent   backend.Budget // of what the client has sent and backends of its own have not taken

	mu      sync.Mutex
	watched *watched // nil unless the fullest stream is watched
	stopped bool
}

// watched is the fullest stream as it was when the watch began.
type watched struct {
	timer   *time.Timer
	fullest progress
}

// progress is how far the client has come with a stream.
type progress struct {
	stream  *stream
	passed  uint64
	granted int64
}

// errHoldsUp ends the fullest stream of a connection at its bound.
var errHoldsUp = &zws.CloseError{Code: zws.CodeTooSlow, Reason: "this client reads too slowly: its channels together hold max_connection_bytes"}

// SetMaxBytes sets how many bytes one connection can hold for its client
// (server.max_connection_bytes). Multiplexed connections that are open adapt to it; plain ones
// whose queue was within the limit when they were opened stay as they are.
func (s *Set) SetMaxBytes(n int64) {
	s.maxBytes.Store(n)
	for _, c := range s.all() {
		c.bound.limit(n)
	}
}

func (b *bound) limit(n int64) {
	b.sent.SetLimit(n)
	if b.budget != nil {
		b.budget.SetLimit(n)
	}
}

// share adds the budget of the connection to the options of a queue, unless it is the only queue
// and its own limits are enough.
func (c *connection) share(o queue.Options) queue.Options {
	limit := c.set.maxBytes.Load()
	if c.bound.budget == nil && o.Bytes+o.KeptBytes > limit { // a plain connection, whose streams are not opened concurrently
		c.bound.budget = queue.NewBudget(limit, c.watch)
	}
	o.Budget = c.bound.budget
	return o
}

// watch has the fullest stream looked at after write_timeout, since a backend waits for room
// now. It does not block.
func (c *connection) watch() {
	b, now := &c.bound, c.fullest()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watched == nil && !b.stopped {
		b.watched = &watched{fullest: now}
		b.watched.timer = time.AfterFunc(c.route.Rules().Options.WriteTimeout, c.judge)
	}
}

// judge ends the fullest stream if it was that when the watch began, its client has taken
// nothing since, and a backend waits still.
func (c *connection) judge() {
	b := &c.bound
	b.mu.Lock()
	before := b.watched
	b.watched = nil
	b.mu.Unlock()
	if before == nil || !b.budget.Waiting() {
		return
	}
	if now := c.fullest(); now.stream != nil && now == before.fullest {
		now.stream.end(errHoldsUp)
	}
	c.watch()
}

// fullest returns the stream for which the most is held, the oldest of several; none if all are
// about to end.
func (c *connection) fullest() (f progress) {
	most := int64(-1)
	for _, s := range c.all() {
		held := s.queue.Held()
		if held < most || held == most && s.number > f.stream.number || s.ending() != nil {
			continue
		}
		most = held
		f = progress{stream: s, passed: s.queue.Passed()}
		if channel := s.opened(); channel != nil {
			f.granted = channel.Granted()
		}
	}
	return f
}

func (b *bound) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.watched != nil {
		b.watched.timer.Stop()
		b.watched = nil
	}
}
