package conn

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/route"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// This file ends connections in an order and at times, so that the bridge that their clients come
// back to can judge one login after the other.

const (
	// drainStep is the time between two waves.
	drainStep = 100 * time.Millisecond
	// drainGrace is how long a connection whose turn has come can take to write what is queued for
	// its client, and for the answers to the client's requests.
	drainGrace = 5 * time.Second
	// closeGrace is that of a shutdown.
	closeGrace = time.Second
	// leastRetry is the advice for clients that another bridge serves already.
	leastRetry = time.Second
)

// ErrReplaced is why Drain ends connections.
var ErrReplaced = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "another process takes over from this bridge: connect again", RetryAfter: leastRetry}

// turns are when the clients that were disconnected should come back.
type turns struct {
	next     time.Time                      // of the next client
	draining atomic.Pointer[zws.CloseError] // why no connection is accepted; nil if they are
	missing  atomic.Pointer[zws.CloseError] // why routes are missing that exist; nil if none are
}

// departure is the end of one connection.
type departure struct {
	c     *connection
	turn  time.Duration // from now on, when its login can be judged again
	at    time.Duration // when it leaves; at first 0
	until time.Duration // when it has to be over
	cause *zws.CloseError
	waits bool // for the answers to requests
}

// departures gives each connection of the list that has not ended a turn, behind those that were given out.
func (s *Set) departures(list []*connection) []*departure {
	all := make([]*departure, 0, len(list)) // in the order of a map, so that no user is the last each time
	turn := time.Duration(0)
	seen := make(map[account]bool)
	for _, c := range list {
		if !c.ended() {
			all = append(all, &departure{c: c, turn: turn})
			turn += s.cost(c, seen)
		}
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := max(s.turns.next.Sub(now), 0)
	s.turns.next = now.Add(wait + turn)
	for _, d := range all {
		d.turn += wait
	}
	return all
}

// account is a user of an authenticator, which remembers that the password was right.
type account struct{ authenticator, user string }

// cost is how long the next bridge needs for a login, with room for its other work. seen has the accounts
// that it has judged before.
func (s *Set) cost(c *connection, seen map[account]bool) time.Duration {
	if s.o.Cost == nil {
		return 0
	}
	l := c.login.Load()
	by := account{l.Reply.Authenticator, l.Reply.UserID}
	again := seen[by]
	seen[by] = true
	return s.o.Cost(l, again) * 3 / 2
}

// advise sets why the connection ends: with the rest of the time until its turn as the advice when to
// come back, if that is at least a second.
func (d *departure) advise(cause *zws.CloseError) {
	why := *cause
	if rest := d.turn - d.at; rest >= leastRetry {
		why.RetryAfter = rest
	}
	d.cause = &why
}

// pace spreads the ends over the time until the turns, or over within if that is shorter: then the advice
// to the clients has the rest.
func pace(all []*departure, within time.Duration) {
	if len(all) == 0 {
		return
	}
	last := all[len(all)-1].turn
	for _, d := range all {
		if d.at = d.turn; last > within {
			d.at = time.Duration(float64(d.turn) * float64(within) / float64(last))
		}
	}
}

// BeginDrain refuses further connections with ErrReplaced, until EndDrain. Those there are stay.
func (s *Set) BeginDrain() {
	s.turns.missing.Store(ErrReplaced)
	s.turns.draining.Store(ErrReplaced)
}

// EndDrain has connections accepted again. Unless all routes are back, those that ask for an unknown one are
// still refused with ErrReplaced: it can be one of them.
func (s *Set) EndDrain(allBack bool) {
	s.turns.draining.Store(nil)
	if allBack {
		s.turns.missing.Store(nil)
	}
}

// NoRoute returns what a client is told whose route is not in force.
func (s *Set) NoRoute() error {
	if cause := s.turns.missing.Load(); cause != nil {
		return cause
	}
	return &zws.CloseError{Code: zws.CodeNoRoute, Status: zap.Refused, Reason: "unknown route"}
}

// Drain ends all connections with ErrReplaced, in waves over at most within, and returns when they are over
// or ctx is done. A connection whose turn has come ends once its client has what is queued and its
// requests are answered, after drainGrace at the latest.
func (s *Set) Drain(ctx context.Context, within time.Duration) {
	s.BeginDrain()
	all := s.departures(s.all())
	pace(all, within)
	for _, d := range all {
		d.advise(ErrReplaced)
		d.until, d.waits = d.at+drainGrace, true
	}
	depart(ctx, all)
}

// EndRoutes ends the connections with a stream on a route that is not in force any more, all of them at
// once: the advice to their clients spreads them. BeginDrain was called before. It returns when they
// are over or ctx is done.
func (s *Set) EndRoutes(ctx context.Context) {
	s.endAll(ctx, slices.DeleteFunc(s.all(), func(c *connection) bool {
		return !slices.ContainsFunc(c.routes(), func(r *route.Route) bool { return s.o.Route(r.Path()) != r })
	}), ErrReplaced, closeGrace)
}

// endAll ends the connections of the list now.
func (s *Set) endAll(ctx context.Context, list []*connection, cause *zws.CloseError, grace time.Duration) {
	all := s.departures(list)
	for _, d := range all {
		d.advise(cause)
		d.until = grace
	}
	depart(ctx, all)
}

// depart ends each connection at its time, and returns when all have been ended. If ctx is done
// before, the rest ends then.
func depart(ctx context.Context, all []*departure) {
	start := time.Now()
	ticker := time.NewTicker(drainStep)
	defer ticker.Stop()
	for {
		now := time.Since(start)
		all = slices.DeleteFunc(all, func(d *departure) bool {
			return d.at <= now && (d.leave() || d.until <= now && d.cut())
		})
		if len(all) == 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			for _, d := range all {
				d.cut()
			}
			return
		}
	}
}

// cut ends the connection whatever is left.
func (d *departure) cut() bool {
	d.c.end(d.cause)
	return true
}

// leave ends the connection if nothing is to finish on it, and reports whether it is about to end.
func (d *departure) leave() bool {
	c := d.c
	if c.ending() != nil || c.ended() {
		return true
	}
	list := c.all()
	if d.waits && slices.ContainsFunc(list, (*stream).unfinished) {
		return false
	}
	if !slices.ContainsFunc(list, (*stream).queued) {
		c.end(d.cause)
		return true
	}
	if !c.login.Load().Multiplexed {
		for _, s := range list { // one
			s.finish(d.cause)
		}
	}
	return false
}

// queued reports whether something waits to be written to the client.
func (s *stream) queued() bool {
	messages, _ := s.queue.Len()
	return messages > 0
}

// unfinished reports whether the stream's client waits for an answer.
func (s *stream) unfinished() bool {
	s.mu.Lock()
	socket := s.socket
	s.mu.Unlock()
	return s.ending() == nil && socket != nil && socket.Unfinished()
}

// routes returns the routes that the connection and its streams are on.
func (c *connection) routes() []*route.Route {
	list := []*route.Route{c.route}
	for _, s := range c.all() {
		list = append(list, s.route)
	}
	return list
}
