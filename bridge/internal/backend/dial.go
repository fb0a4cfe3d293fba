package backend

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Dedicated is a socket that connects and serves one stream.
type Dedicated struct {
	*stream
	d       *dialer
	stop    func() bool // ends the following of ctx
	closing sync.Once
}

// Dial opens a socket for one stream. It connects all endpoints at the same time and returns
// when the Ready rule is met, with an error when it cannot be met any more, or when ctx is
// done. When ctx is done later, the socket is closed, and a waiting Send returns.
//
// For the rule each endpoint has one attempt of ConnectTimeout: with Any, Dial fails when all
// have failed; with All, when one has. The error is then an [*Error] with the endpoint's
// position: the first that refused, else the first that did not complete its handshake in
// time, else the first that was not reached. Once Dial has returned a socket, endpoints that
// failed are tried again in the background, also those that have refused; the socket does not
// end because of them. Other errors are ctx's, or about the options.
//
// r may be called before Dial returns. The caller closes the socket.
func Dial(ctx context.Context, o DialOptions, r Receiver) (*Dedicated, error) {
	d, err := newDialer(o, false)
	if err != nil {
		return nil, err
	}
	st, err := d.core.attach(r, AttachOptions{MayReceive: o.MayReceive})
	if err != nil {
		return nil, err
	}
	d.start()
	if err := d.wait(ctx, nil); err != nil {
		d.core.close()
		return nil, err
	}
	s := &Dedicated{stream: st, d: d}
	s.stop = context.AfterFunc(ctx, s.close)
	return s, nil
}

// Close implements [Socket].
func (s *Dedicated) Close() error {
	s.stop()
	s.close()
	return nil
}

// close returns when the socket is closed, even if another goroutine closes it.
func (s *Dedicated) close() { s.closing.Do(s.d.core.close) }

// Status implements [Socket].
func (s *Dedicated) Status() []Status { return s.d.status() }

// Stats returns the socket's counts.
func (s *Dedicated) Stats() Stats { return s.d.core.counts() }

// dialer keeps the connections of a socket that connects.
type dialer struct {
	core   *core
	o      DialOptions
	shared bool

	// Guarded by core.mu.
	endpoints []*endpoint
	leaving   []*endpoint // removed, and not closed yet
	clients   int         // how many want the endpoints to be tried again that have refused
}

func newDialer(o DialOptions, shared bool) (*dialer, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	d := &dialer{core: newCore(o.Options, shared), o: o}
	d.shared = shared
	d.core.hopeless, d.core.abandon = d.refused, d.abandon
	if !shared {
		d.clients = 1
	}
	return d, nil
}

// start connects in the background.
func (d *dialer) start() {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	d.replace(d.o.Endpoints)
}

// setDirect has Send write itself where it would wait for the only peer anyway. Lock held on
// entry.
func (d *dialer) setDirect() {
	d.core.direct = !d.shared && len(d.endpoints) == 1 && waits(d.o.SocketType)
}

func (d *dialer) newEndpoint(e Endpoint) *endpoint {
	n := &endpoint{Endpoint: e, d: d, done: make(chan struct{}), hurried: make(chan struct{}, 1), status: Status{Address: e.Address}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// abandon ends all endpoints, since the socket is closed.
func (d *dialer) abandon() {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	for _, e := range d.endpoints {
		e.cancel()
	}
	for _, e := range d.leaving {
		e.cancel()
	}
}

// attempts are the numbers of the endpoints' attempts that somebody waits for; of one that is
// missing it is the first.
type attempts map[*endpoint]int

// hurry lets endpoints that wait be tried at once, at most one time a second each, and returns
// the attempts that show how they are now. Lock held on entry.
func (d *dialer) hurry() attempts {
	a := make(attempts, len(d.endpoints))
	for _, e := range d.endpoints {
		a[e] = e.hurry()
	}
	return a
}

// wait waits until the Ready rule is met, or cannot be met with the results of these attempts.
func (d *dialer) wait(ctx context.Context, a attempts) error {
	c := d.core
	defer c.wakeWhenDone(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		met, err := d.ready(a)
		switch {
		case met:
			return nil
		case err != nil:
			return err
		case c.ending:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		}
		c.changed.Wait()
	}
}

// ready reports whether the Ready rule is met now. If it cannot be met, the error is that of
// the endpoint that matters most. Lock held on entry.
func (d *dialer) ready(a attempts) (met bool, err error) {
	connected, failed := 0, 0
	var worst *endpoint
	for _, e := range d.endpoints {
		if e.status.State == Connected {
			connected++
		} else if e.failed != nil && e.ended >= a[e] {
			failed++
			worst = worse(worst, e)
		}
	}
	all := len(d.endpoints)
	switch {
	case d.o.Ready == None, d.o.Ready == Any && connected > 0, connected == all && all > 0:
		return true, nil
	case all == 0:
		return false, errNoEndpoint
	case d.o.Ready == All && failed > 0, failed == all:
		return false, worst.failed
	}
	return false, nil
}

// errNoEndpoint is why a socket without endpoints is not ready.
var errNoEndpoint = newError(0, fmt.Errorf("%w: no endpoint is known at present", zmtp.ErrUnreachable))

// worse returns which of two failed endpoints is reported: one that refused before one that
// timed out before one that was not reached, and of equals the first to fail. a may be nil.
// Lock held on entry.
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

// refused reports whether all endpoints have refused. Lock held on entry.
func (d *dialer) refused() bool {
	return len(d.leaving) == 0 && !slices.ContainsFunc(d.endpoints, func(e *endpoint) bool { return e.status.State != Refused })
}

func (d *dialer) status() []Status {
	d.core.mu.Lock()
	defer d.core.mu.Unlock()
	list := make([]Status, len(d.endpoints))
	for i, e := range d.endpoints {
		list[i] = e.status
	}
	return list
}
