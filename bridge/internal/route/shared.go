package route

import (
	"context"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/zws"
)

// shared serves all streams of a route by one socket.
type shared struct {
	route  *Route
	socket *backend.Shared
	layer  layer

	mu     sync.Mutex
	closed bool
}

// layer stands between a shared socket and the streams: a hub that fans out, or nothing but
// the socket's own envelopes.
type layer interface {
	join(c *Client) (*Attachment, error)
	// close ends the layer, before the socket is closed.
	close()
}

// newShared serves the route by socket, which is open already, so that it is connected when
// the first client comes. It closes the socket.
func newShared(r *Route, socket *backend.Shared, err error) (*shared, error) {
	if err != nil {
		return nil, err
	}
	u := &shared{route: r, socket: socket, layer: envelopes{socket}}
	if r.socket.Subscribes() {
		if u.layer, err = newHub(r, socket); err != nil {
			_ = socket.Close()
			return nil, err
		}
	}
	if r.archive != nil {
		socket.Enter() // the history wants messages while no client is there
	}
	return u, nil
}

func (u *shared) attach(ctx context.Context, c *Client) (*Attachment, error) {
	if u.isClosed() {
		return nil, errClosed
	}
	a, err := u.layer.join(c)
	if err != nil {
		return nil, err
	}
	visit := u.socket.Enter()
	a.Socket = &sharedSocket{Socket: a.Socket, visit: visit}
	// The stream is attached already, so that it gets the first messages of the peer that it
	// waits for.
	if err := u.waitReady(ctx, visit); err != nil {
		c.Queue.Close() // first: a backend that waits for room returns
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

// waitReady waits for the route's `ready` rule: for the end of the attempts that the stream
// has brought about, or for inbound backends as long as a connect may take.
func (u *shared) waitReady(ctx context.Context, visit *backend.Visit) error {
	l := u.route.links.Load()
	if l.ready == backend.None {
		visit.Settle()
		return nil
	}
	if u.route.listens {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.connectTimeout)
		defer cancel()
	}
	return visit.Wait(ctx)
}

// prepare implements upstream.
func (u *shared) prepare(l *links) (apply func(), err error) {
	if u.route.listens {
		return func() {}, nil
	}
	o, err := u.route.dialOptions(l, nil)
	if err != nil {
		return nil, err
	}
	return func() { _ = u.socket.Update(o) }, nil // but once it is closed, the list is one that it can have
}

var errClosed = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "this route was closed: connect again"}

func (u *shared) isClosed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closed
}

func (u *shared) statuses() []backend.Status {
	if u.isClosed() {
		return nil
	}
	return u.socket.Status()
}

// stats returns the counts of the socket.
func (u *shared) stats() backend.Stats {
	if u.isClosed() {
		return backend.Stats{}
	}
	return u.socket.Stats()
}

// connected reports whether a backend is connected.
func (u *shared) connected() bool {
	return slices.ContainsFunc(u.statuses(), func(s backend.Status) bool { return s.State == backend.Connected })
}

// hub returns what fans out; nil if nothing does.
func (u *shared) hub() *fanout.Hub {
	if h, ok := u.layer.(*hub); ok {
		return h.Hub
	}
	return nil
}

func (u *shared) close() {
	u.mu.Lock()
	again := u.closed
	u.closed = true
	u.mu.Unlock()
	if !again {
		u.layer.close()
		_ = u.socket.Close()
	}
}

// sharedSocket is a stream's side of a shared socket.
type sharedSocket struct {
	Socket
	visit *backend.Visit
}

// Status returns nothing: the connections are not the stream's own.
func (s *sharedSocket) Status() []backend.Status { return nil }

// Close leaves the shared socket, which stays open.
func (s *sharedSocket) Close() error {
	s.visit.Leave()
	return s.Socket.Close()
}

// envelopes is the layer of a socket that keeps its streams apart by itself.
type envelopes struct{ socket *backend.Shared }

func (e envelopes) join(c *Client) (*Attachment, error) {
	socket, err := e.socket.Attach(c.Receiver, backend.AttachOptions{MayReceive: c.MayReceive, MayAddress: c.MayAddress})
	if err != nil {
		return nil, err
	}
	return &Attachment{Socket: unfiltered{socket}}, nil
}

func (e envelopes) close() {}
