package backend

import (
	"context"
	"sync"
)

// Dedicated is a socket that connects and serves one session.
type Dedicated struct {
	*session
	d       *dialler
	stop    func() bool // following ctx
	closing sync.Once
}

// Dial opens a socket for one session. It connects all endpoints at the same time and
// returns once the Ready rule is met, or with an error once it can no longer be met, or
// when ctx is done. When ctx is done later the socket is closed: a Send that waits comes
// back then.
//
// For the rule every endpoint has one attempt, of ConnectTimeout: with Any, Dial fails
// when all have failed; with All, when one has. The error is an [*Error] with
// the endpoint's position: the first that refused us, else the first whose handshake did
// not end in time, else the first that was not reached. Once Dial has returned a socket,
// endpoints that failed are tried again in the background, except those that have refused
// us; a handshake that did not end in time is no refusal.
//
// r may be called before Dial returns. The caller closes the socket. Other errors are
// ctx's, or about the options.
func Dial(ctx context.Context, o DialOptions, r Receiver) (*Dedicated, error) {
	d, err := newDialler(o, false)
	if err != nil {
		return nil, err
	}
	x, err := d.core.attach(r, nil)
	if err != nil {
		return nil, err
	}
	d.start()
	if err := d.wait(ctx); err != nil {
		d.core.close()
		return nil, err
	}
	s := &Dedicated{session: x, d: d}
	s.stop = context.AfterFunc(ctx, s.close)
	return s, nil
}

// Close implements [Socket].
func (s *Dedicated) Close() error {
	s.stop()
	s.close()
	return nil
}

// close returns when the socket is closed, whoever does that.
func (s *Dedicated) close() { s.closing.Do(s.d.core.close) }

// Status returns the state of every endpoint, in their order.
func (s *Dedicated) Status() []Status { return s.d.status() }

// Stats returns the socket's counts.
func (s *Dedicated) Stats() Stats { return s.d.core.counts() }

// dialler keeps the connections of a socket that connects.
type dialler struct {
	core      *core
	o         DialOptions
	endpoints []*endpoint

	// Guarded by core.mu.
	content  bool // Dial has returned a socket, or will: Lost may be called
	refusals int  // endpoints that are not tried again
}

func newDialler(o DialOptions, shared bool) (*dialler, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	d := &dialler{core: newCore(o.Options, shared), o: o}
	d.core.direct = !shared && len(o.Endpoints) == 1 && waits(o.SocketType)
	d.content = shared || o.Ready == None
	for i, e := range o.Endpoints {
		d.endpoints = append(d.endpoints, &endpoint{Endpoint: e, d: d, status: Status{Position: i + 1, Address: e.Address}})
	}
	return d, nil
}

// start connects in the background.
func (d *dialler) start() {
	for _, e := range d.endpoints {
		d.core.running.Go(e.run)
	}
}

// wait waits until the Ready rule is met, or cannot be met by what the endpoints' last
// attempts have brought.
func (d *dialler) wait(ctx context.Context) error {
	c := d.core
	defer c.wakeWhenDone(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		met, err := d.standing()
		switch {
		case met:
			d.content = true
			return nil
		case err != nil:
			return err
		case c.err != nil:
			return c.err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		c.changed.Wait()
	}
}

// standing tells whether the Ready rule is met at present, and if it cannot be, why: the
// error of the endpoint that matters most. Lock held.
func (d *dialler) standing() (met bool, err error) {
	connected, failed := 0, 0
	var worst *endpoint
	for _, e := range d.endpoints {
		if e.status.State == Connected {
			connected++
		} else if e.failed != nil {
			failed++
			worst = worse(worst, e)
		}
	}
	all := len(d.endpoints)
	switch {
	case d.o.Ready == None, d.o.Ready == Any && connected > 0, connected == all:
		return true, nil
	case d.o.Ready == All && failed > 0, failed == all:
		return false, worst.failed
	}
	return false, nil
}

// worse returns which of two endpoints that have failed a client is told of: one that has
// refused us before one that was too late before one that was not reached, and of equals
// the first to fail. Lock held.
func worse(a, b *endpoint) *endpoint {
	rank := map[Kind]int{KindRefused: 2, KindTimeout: 1}
	if a == nil {
		return b
	}
	before := rank[a.failed.Kind] - rank[b.failed.Kind]
	if before > 0 || before == 0 && !b.failedAt.Before(a.failedAt) {
		return a
	}
	return b
}

// refused counts an endpoint that will not be tried again; after the last one nothing can
// be sent any more.
func (d *dialler) refused(err *Error) {
	d.core.mu.Lock()
	d.refusals++
	lost := d.content && d.refusals == len(d.endpoints)
	d.core.mu.Unlock()
	if !lost {
		return
	}
	d.core.fail(err)
	if d.o.Lost != nil {
		d.o.Lost(err)
	}
}

func (d *dialler) status() []Status {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	list := make([]Status, len(d.endpoints))
	for i, e := range d.endpoints {
		list[i] = e.status
	}
	return list
}
