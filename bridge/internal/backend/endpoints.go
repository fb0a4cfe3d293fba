package backend

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Source is where an endpoint comes from. The values are those that operators see.
type Source string

// The sources of endpoints.
const (
	SourceFile        Source = "file"         // connect in the configuration
	SourceConnectFile Source = "connect_file" // the watched file
	SourceSRV         Source = "srv"          // DNS
	SourceDNSSD       Source = "dnssd"        // DNS service discovery
	SourceAdmin       Source = "admin"        // an operator
)

// reuseDelay is how long a routing id rests after a connection that had it was closed, before
// an endpoint that was added is dialled: a libzmq ROUTER frees an id only when its application
// comes to read the end of the old connection, and ignores a new one with the id that arrives
// before.
const reuseDelay = 250 * time.Millisecond

// SetEndpoints replaces the endpoints of the socket, by address, login and server key. Those
// that are in both lists keep their connections. New ones are connected in the background and
// get the socket's subscriptions. Removed ones get no new message; what was sent to them may
// be answered, for Options.Drain at most, and then they are closed. Messages that were not
// written by then go to other endpoints, as after a loss. An empty list leaves the socket
// without a backend until the next call.
//
// A new login at an address counts as a reconnect of that endpoint. A socket with a routing id,
// and a PAIR, connects new endpoints only once the removed ones are closed.
//
// SetEndpoints returns at once. Errors are [ErrClosed], or about the list, and change nothing.
func (s *Dedicated) SetEndpoints(list []Endpoint) error { return s.d.setEndpoints(list, nil) }

// Update is SetEndpoints with o.Endpoints. It also puts in force what else a live socket can
// change of its options: Ready, ConnectTimeout, Backoff, MaxBackoff, HonorError, Limits,
// HighWaterMark, HighWaterBytes and MaxTopic, and for connections that are made later ZMTP2.
func (s *Dedicated) Update(o DialOptions) error { return s.d.update(o) }

// SetEndpoints is [Dedicated.SetEndpoints] for a socket of [DialShared].
func (s *Shared) SetEndpoints(list []Endpoint) error {
	if s.dialer == nil {
		return s.errListens()
	}
	return s.dialer.setEndpoints(list, nil)
}

// Update is [Dedicated.Update] for a socket of [DialShared].
func (s *Shared) Update(o DialOptions) error {
	if s.dialer == nil {
		return s.errListens()
	}
	return s.dialer.update(o)
}

func (s *Shared) errListens() error {
	return fmt.Errorf("backend: a %s socket that listens has no endpoints to connect to", s.o.SocketType)
}

// checkEndpoints returns what is wrong with a list of endpoints.
func checkEndpoints(t zmtp.SocketType, list []Endpoint) error {
	if t == zmtp.PAIR && len(list) > 1 {
		return fmt.Errorf("backend: %d endpoints: a PAIR socket has exactly one", len(list))
	}
	for i, e := range list {
		if e.Security == nil {
			return fmt.Errorf("backend: endpoint %d has no mechanism", i+1)
		}
	}
	return nil
}

// same reports whether a connection to e serves as one to other.
func (e *Endpoint) same(other *Endpoint) bool {
	return e.Address == other.Address && (e.ClientLogin && other.ClientLogin || reflect.DeepEqual(e.Security, other.Security))
}

func (d *dialer) update(o DialOptions) error {
	if err := o.setDefaults(); err != nil {
		return err
	}
	return d.setEndpoints(o.Endpoints, func() {
		d.o.Ready, d.o.ConnectTimeout, d.o.HonorError = o.Ready, o.ConnectTimeout, o.HonorError
		d.o.Backoff, d.o.MaxBackoff = o.Backoff, o.MaxBackoff
		d.o.ZMTP2, d.o.Limits = o.ZMTP2, o.Limits
		d.core.setBounds(&o.Options)
		d.core.wakeSenders()
	})
}

// setBounds takes over from o what a live socket can change, and live connections with it. Lock
// held on entry.
func (c *core) setBounds(o *Options) {
	c.o.HighWaterMark, c.o.HighWaterBytes, c.o.MaxTopic = o.HighWaterMark, o.HighWaterBytes, o.MaxTopic
	if c.o.Limits == o.Limits {
		return
	}
	c.o.Limits = o.Limits
	for _, p := range c.peers {
		p.conn.SetLimits(o.Limits)
	}
}

// setEndpoints calls change, if it is not nil, with the lock held.
func (d *dialer) setEndpoints(list []Endpoint, change func()) error {
	if err := checkEndpoints(d.o.SocketType, list); err != nil {
		return err
	}
	c := d.core
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return ErrClosed
	}
	if change != nil {
		change()
	}
	removed := d.replace(list)
	c.changed.Broadcast()
	c.mu.Unlock()
	for _, e := range removed {
		e.remove()
	}
	return nil
}

// replace makes list the endpoints, starts the new ones and returns those that are to be
// removed. Lock held on entry.
func (d *dialer) replace(list []Endpoint) (removed []*endpoint) {
	removed = slices.Clone(d.endpoints)
	d.endpoints = nil
	var added []*endpoint
	for i := range list {
		at := slices.IndexFunc(removed, func(e *endpoint) bool { return e.same(&list[i]) })
		if at < 0 {
			e := d.newEndpoint(list[i])
			added = append(added, e)
			d.endpoints = append(d.endpoints, e)
			continue
		}
		e := removed[at]
		removed = slices.Delete(removed, at, at+1)
		e.Endpoint = list[i] // with another Permit or Source
		d.endpoints = append(d.endpoints, e)
	}
	for i, e := range d.endpoints {
		e.status.Position, e.status.Source = i+1, e.Source
	}
	d.setDirect()
	for _, e := range removed {
		e.removed = true
		d.leaving = append(d.leaving, e)
	}
	for _, e := range added {
		for _, old := range removed {
			if old.Address == e.Address && old.known {
				e.known, e.status.Reconnects = true, old.status.Reconnects
			}
		}
		if len(d.o.RoutingID) > 0 || d.o.SocketType == zmtp.PAIR {
			e.after = slices.Clone(d.leaving)
		}
		e.start()
	}
	return removed
}

// remove ends an endpoint that is not in the list any more: at once if it is not connected,
// else when nothing is to finish there.
func (e *endpoint) remove() {
	c := e.d.core
	c.mu.Lock()
	defer c.mu.Unlock()
	p := e.peer
	if p == nil || c.closing {
		e.cancel()
		return
	}
	c.drain(p, e.cancel)
}

// drain ends p when nothing is to finish there, and calls end then. Nothing new is sent to it.
// Lock held on entry.
func (c *core) drain(p *peer, end func()) {
	p.draining.Store(true)
	if !c.unfinished(p) {
		end()
		_ = p.conn.Close()
		return
	}
	c.wakeSenders()
	c.running.Go(func() { c.waitDrained(p, end) })
}

// waitDrained waits until nothing is to finish at p, or Options.Drain is over, and ends p.
func (c *core) waitDrained(p *peer, end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitWhile(c.o.Drain, func() bool { return !c.closing && !p.broken && c.unfinished(p) })
	end()
	_ = p.conn.Close()
}

// unfinished reports whether something is to finish at a peer that is to be closed: messages
// that are not written, requests that are not answered. Lock held on entry.
func (c *core) unfinished(p *peer) bool {
	if c.o.SocketType == zmtp.SUB { // subscriptions are not worth waiting for
		return false
	}
	if len(p.queue)+len(p.batch) > 0 {
		return true
	}
	switch s := c.pattern.(type) {
	case *dealer, *req:
		return p.unanswered.Load() > 0
	case *router:
		return p.unanswered.Load() > 0 || p.turns != nil && p.turns.waiting > 0
	case *rep:
		return slices.ContainsFunc(s.askers, func(a asker) bool { return a.p == p })
	}
	return false
}

// answered counts n messages that were read from p as answers to as many requests.
func (p *peer) answered(n int) {
	for {
		left := p.unanswered.Load()
		if left == 0 || p.unanswered.CompareAndSwap(left, max(0, left-int64(n))) {
			break
		}
	}
	if p.draining.Load() {
		p.core.mu.Lock()
		p.core.changed.Broadcast()
		p.core.mu.Unlock()
	}
}

// wait waits until the endpoints that e replaces are closed, and reports whether e is still to be
// connected.
func (e *endpoint) wait() bool {
	if len(e.after) == 0 {
		return true
	}
	for _, old := range e.after {
		select {
		case <-old.done:
		case <-e.ctx.Done():
			return false
		}
	}
	e.after = nil
	if len(e.d.o.RoutingID) == 0 {
		return true
	}
	rest := time.NewTimer(reuseDelay)
	defer rest.Stop()
	select {
	case <-rest.C:
		return e.ctx.Err() == nil
	case <-e.ctx.Done():
		return false
	}
}
