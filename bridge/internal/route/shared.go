package route

import (
	"context"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/zws"
)

// shared serves all streams of a route by one socket. When its last endpoint has refused the
// bridge, all streams end, and the next client has the socket opened again.
type shared struct {
	route *Route
	open  func(lost func(error)) (*backend.Shared, error)

	mu   sync.Mutex
	live *liveSocket // nil once closed
}

// layer stands between a shared socket and the streams: a hub that fans out, or nothing but
// the socket's own envelopes.
type layer interface {
	join(c *Client) (*Attachment, error)
	// close ends the layer, before the socket is closed.
	close()
}

// liveSocket is an open socket and the streams on it.
type liveSocket struct {
	socket *backend.Shared
	layer  layer

	mu      sync.Mutex
	err     error            // why it has ended
	clients map[*Client]bool // which end with it
}

// newShared opens the socket, so that it is connected when the first client comes.
func newShared(r *Route, open func(lost func(error)) (*backend.Shared, error)) (*shared, error) {
	u := &shared{route: r, open: open}
	var err error
	u.live, err = u.start()
	return u, err
}

func (u *shared) start() (_ *liveSocket, err error) {
	live := &liveSocket{clients: make(map[*Client]bool)}
	if live.socket, err = u.open(live.fail); err != nil {
		return nil, err
	}
	live.layer = envelopes{live.socket}
	if u.route.socket.Subscribes() {
		if live.layer, err = newHub(u.route, live.socket, live.fail); err != nil {
			_ = live.socket.Close()
			return nil, err
		}
	}
	return live, nil
}

func (u *shared) attach(ctx context.Context, c *Client) (*Attachment, error) {
	live, err := u.current()
	if err != nil {
		return nil, err
	}
	if err := live.enter(c); err != nil {
		return nil, err
	}
	a, err := live.layer.join(c)
	if err != nil {
		live.leave(c)
		return nil, err
	}
	a.Socket = &sharedSocket{Socket: a.Socket, live: live, client: c}
	// The stream is attached already, so that it gets the first messages of the peer that it
	// waits for.
	if err := u.waitReady(ctx, live); err != nil {
		c.Queue.Close() // first: a backend that waits for room returns
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

// waitReady waits for the route's `ready` rule: for the end of the attempts that are under
// way, or for inbound backends as long as a connect may take.
func (u *shared) waitReady(ctx context.Context, live *liveSocket) error {
	if u.route.ready == backend.None {
		return nil
	}
	if len(u.route.bind) > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, u.route.connectTimeout)
		defer cancel()
	}
	err := live.socket.Wait(ctx)
	if err != nil && live.refused() {
		live.fail(err)
	}
	return err
}

// current returns the open socket. One that has ended is opened again.
func (u *shared) current() (*liveSocket, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.live == nil:
		return nil, errClosed
	case u.live.alive():
		return u.live, nil
	}
	live, err := u.start()
	if err != nil {
		return nil, err
	}
	u.live.close()
	u.live = live
	return live, nil
}

var errClosed = &zws.CloseError{Code: zws.CodeGoingAway, Reason: "this route was closed: connect again"}

func (u *shared) statuses() []backend.Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.live == nil {
		return nil
	}
	return u.live.socket.Status()
}

// stats returns the counts of the open socket.
func (u *shared) stats() backend.Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.live == nil {
		return backend.Stats{}
	}
	return u.live.socket.Stats()
}

// connected reports whether a backend is connected.
func (u *shared) connected() bool {
	return slices.ContainsFunc(u.statuses(), func(s backend.Status) bool { return s.State == backend.Connected })
}

// eachHub calls f for the hub of the open socket, if it has one.
func (u *shared) eachHub(f func(*fanout.Hub)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.live == nil {
		return
	}
	if h, ok := u.live.layer.(*hub); ok {
		f(h.Hub)
	}
}

func (u *shared) close() {
	u.mu.Lock()
	live := u.live
	u.live = nil
	u.mu.Unlock()
	if live != nil {
		live.close()
	}
}

// fail ends every stream on the socket. It does not block.
func (l *liveSocket) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	for c := range l.clients {
		c.End(err)
	}
}

func (l *liveSocket) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err == nil
}

// refused reports whether every endpoint has refused the bridge, so that none is tried again.
func (l *liveSocket) refused() bool {
	list := l.socket.Status()
	return len(list) > 0 && !slices.ContainsFunc(list, func(s backend.Status) bool { return s.State != backend.Refused })
}

func (l *liveSocket) enter(c *Client) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.clients[c] = true
	}
	return l.err
}

func (l *liveSocket) leave(c *Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.clients, c)
}

func (l *liveSocket) close() {
	l.layer.close()
	_ = l.socket.Close()
}

// sharedSocket is a stream's side of a shared socket.
type sharedSocket struct {
	Socket
	live   *liveSocket
	client *Client
}

// Status returns nothing: the connections are not the stream's own.
func (s *sharedSocket) Status() []backend.Status { return nil }

// Close leaves the shared socket, which stays open.
func (s *sharedSocket) Close() error {
	err := s.Socket.Close()
	s.live.leave(s.client)
	return err
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
