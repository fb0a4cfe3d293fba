package backend

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zws"
)

// Dedicated is a socket that connects and serves one session.
type Dedicated struct {
	*session
	d *dialler
}

// Dial opens a socket for one session. It connects all endpoints at the same time and
// returns once the Ready rule is met, or with an error once it can no longer be met, or
// when ctx is done, which ends nothing afterwards.
//
// For the rule every endpoint has one attempt, of ConnectTimeout: with Any, Dial fails
// when all have failed; with All, when one has. The error is a [*zws.BackendError] with
// the endpoint's position: the first that refused us, else the first whose handshake did
// not end in time, else the first that was not reached. Once Dial has returned a socket,
// endpoints that failed are tried again in the background, except those that have refused
// us; a handshake that did not end in time is no refusal.
//
// r may be called before Dial returns. The caller closes the socket. Other errors are
// about the options.
func Dial(ctx context.Context, o DialOptions, r Receiver) (*Dedicated, error) {
	d, err := newDialler(o, false)
	if err != nil {
		return nil, err
	}
	x, err := d.core.attach(r, "")
	if err != nil {
		return nil, err
	}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	return &Dedicated{x, d}, nil
}

// Close implements [Socket].
func (s *Dedicated) Close() error {
	s.d.core.close()
	return nil
}

// Status returns the state of every endpoint, in their order.
func (s *Dedicated) Status() []Status { return s.d.status() }

// Stats returns the socket's counts.
func (s *Dedicated) Stats() Stats { return s.d.core.counts() }

// dialler keeps the connections of a socket that connects.
type dialler struct {
	core      *core
	o         DialOptions
	endpoints []*endpoint
	decided   chan error // gets the outcome of the Ready rule, once

	// Guarded by core.mu.
	ready, failed, refusals int // endpoints; the first two of their first attempts
	worst                   *zws.BackendError
	over                    bool // the rule was decided
	content                 bool // and met
}

func newDialler(o DialOptions, shared bool) (*dialler, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	d := &dialler{core: newCore(o.Options, shared), o: o, decided: make(chan error, 1)}
	for i, e := range o.Endpoints {
		d.endpoints = append(d.endpoints, &endpoint{Endpoint: e, d: d, status: Status{Position: i + 1, Address: e.Address}})
	}
	if o.Ready == None {
		d.decide(nil)
	}
	return d, nil
}

// start connects and waits for the Ready rule. If it cannot be met everything is closed.
func (d *dialler) start(ctx context.Context) error {
	for _, e := range d.endpoints {
		d.core.running.Go(e.run)
	}
	var err error
	select {
	case err = <-d.decided:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		d.core.close()
	}
	return err
}

// attempted counts the outcome of an endpoint's first attempt for the Ready rule.
func (d *dialler) attempted(first bool, err *zws.BackendError) {
	if !first {
		return
	}
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	all := len(d.endpoints)
	if err == nil {
		d.ready++
		if d.o.Ready == Any || d.ready == all {
			d.decide(nil)
		}
		return
	}
	d.failed++
	d.worst = worse(d.worst, err)
	if d.o.Ready == All || d.failed == all {
		d.decide(d.worst)
	}
}

// decide ends the Ready rule: core.mu held, or before any endpoint runs.
func (d *dialler) decide(err error) {
	if d.over {
		return
	}
	d.over = true
	d.content = err == nil
	d.decided <- err
}

// refused counts an endpoint that will not be tried again; after the last one nothing can
// be sent any more.
func (d *dialler) refused(err *zws.BackendError) {
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
	var list []Status
	for _, e := range d.endpoints {
		list = append(list, e.status)
	}
	return list
}
